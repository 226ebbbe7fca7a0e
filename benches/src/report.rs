//! The page with all results.

use crate::console;
use crate::machine::Machine;
use crate::options::Options;
use crate::plot::{self, number};
use crate::section::{Figure, Goal, ORDER, Section, Table};
use anyhow::{Context as _, Result, ensure};
use std::fmt::Write as _;
use std::path::Path;

/// What people found out about the figures: `<name>.md`, put into the page as it is.
const FINDINGS: &str = "benches/findings";

/// Writes the page and its pictures from the results that are kept.
pub(crate) fn write(options: &Options, out: &Path) -> Result<()> {
    let mut sections = Vec::new();
    for name in ORDER {
        sections.extend(Section::load(&options.results, name)?);
    }
    ensure!(
        !sections.is_empty(),
        "there are no results in {}",
        options.results.display()
    );
    let folder = out.parent().unwrap_or(Path::new("."));
    let images = folder.join("images");
    std::fs::create_dir_all(&images)
        .with_context(|| format!("cannot make {}", images.display()))?;
    for chart in sections.iter().flat_map(|section| &section.charts) {
        let file = images.join(&chart.file);
        std::fs::write(&file, plot::svg(chart))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let findings =
        |name: &str| std::fs::read_to_string(Path::new(FINDINGS).join(format!("{name}.md"))).ok();
    std::fs::write(out, page(&sections, findings))
        .with_context(|| format!("cannot write {}", out.display()))?;
    console::line(&format!("written: {}", out.display()));
    Ok(())
}

/// The figures of one section for a terminal.
pub(crate) fn text_of(section: &Section) -> String {
    let mut text = String::new();
    for figure in &section.figures {
        let line = [
            figure.name.clone(),
            value_of(figure),
            goal_of(figure),
            verdict(figure).to_owned(),
        ];
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {:<58} {:<42} {:<14} {}",
            line[0], line[1], line[2], line[3]
        );
    }
    for table in &section.tables {
        let _ = writeln!(text, "  {}: {}", table.caption, table.header.join(" | "));
        for row in &table.rows {
            let _ = writeln!(text, "    {}", row.join(" | "));
        }
    }
    for note in &section.notes {
        let _ = writeln!(text, "  {note}");
    }
    text
}

fn page(sections: &[Section], findings: impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::from(
        "<!-- Written by `cargo xtask bench`; remarks on single figures are in benches/findings. -->\n\n\
         # Benchmarks\n\n\
         Every figure comes from one command on one machine, and what kurs is compared with runs in the same minutes on \
         the same cores:\n\n\
         ```sh\ncargo xtask bench                    # all of it, then this page\n\
         cargo xtask bench -- --quick all     # does everything run?\n\
         cargo xtask bench -- http            # one of: http steady pipeline latency footprint books venues flood store brokers streams\n\
         cargo xtask bench -- report          # this page again, from target/bench/*.json\n```\n\n\
         A value is the median of its rounds, with the least and the greatest behind it.\n",
    );
    if sections.iter().any(|section| section.quick) {
        text.push_str("\n**These are results of a quick run: they show that everything runs, nothing else.**\n");
    }
    goals(&mut text, sections);
    if let Some(section) = sections.first() {
        machine(&mut text, &section.machine);
    }
    for section in sections {
        write_section(&mut text, section);
        if let Some(found) = findings(&section.name) {
            let _ = write!(text, "\n{}\n", found.trim());
        }
    }
    text
}

fn goals(text: &mut String, sections: &[Section]) {
    text.push_str("\n## Goals\n\n");
    let mut rows = Vec::new();
    for section in sections {
        for figure in section
            .figures
            .iter()
            .filter(|figure| figure.goal.is_some())
        {
            let name = format!(
                "[{}](#{}): {}",
                section.title,
                anchor(&section.title),
                figure.name
            );
            rows.push(vec![
                name,
                value_of(figure),
                goal_of(figure),
                verdict(figure).to_owned(),
            ]);
        }
    }
    let header = ["figure", "measured", "goal", ""]
        .map(str::to_owned)
        .to_vec();
    write_table(text, &header, &rows);
}

fn machine(text: &mut String, machine: &Machine) {
    text.push_str("\n## Machine\n\n");
    let rows = [
        (
            "processor",
            format!("{}, {} cores", machine.processor, machine.cores),
        ),
        ("memory", format!("{} MB", machine.memory_mb)),
        ("kernel", machine.kernel.clone()),
        ("compiler", machine.rustc.clone()),
        (
            "compared with",
            format!("{}; load by {}", machine.nginx, machine.wrk),
        ),
        ("commit", machine.commit.clone()),
        ("date", machine.date.clone()),
    ];
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), value])
        .collect();
    write_table(text, &["", ""].map(str::to_owned), &rows);
}

fn write_section(text: &mut String, section: &Section) {
    let _ = write!(text, "\n## {}\n", section.title);
    for paragraph in &section.method {
        let _ = write!(text, "\n{paragraph}\n");
    }
    let load = &section.machine.load;
    let _ = write!(
        text,
        "\nLoad of the machine over the minute before: {load}.\n"
    );
    for chart in &section.charts {
        let _ = write!(text, "\n![{}](images/{})\n", chart.title, chart.file);
    }
    text.push('\n');
    let row = |figure: &Figure| {
        vec![
            figure.name.clone(),
            value_of(figure),
            goal_of(figure),
            verdict(figure).to_owned(),
        ]
    };
    let rows: Vec<_> = section.figures.iter().map(row).collect();
    write_table(
        text,
        &["figure", "measured", "goal", ""].map(str::to_owned),
        &rows,
    );
    for Table {
        caption,
        header,
        rows,
    } in &section.tables
    {
        let _ = write!(text, "\n{caption}:\n\n");
        write_table(text, header, rows);
    }
    for note in &section.notes {
        let _ = write!(text, "\n{note}\n");
    }
}

fn write_table(text: &mut String, header: &[String], rows: &[Vec<String>]) {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    text.push_str(&line(header));
    text.push_str(&format!("|{}\n", "---|".repeat(header.len())));
    for row in rows {
        text.push_str(&line(row));
    }
}

fn value_of(figure: &Figure) -> String {
    let value = format!("{} {}", number(figure.value), figure.unit);
    if figure.samples > 1 {
        return format!(
            "{value} ({} to {}, {} rounds)",
            number(figure.low),
            number(figure.high),
            figure.samples
        );
    }
    value
}

fn goal_of(figure: &Figure) -> String {
    match figure.goal {
        None => String::new(),
        Some(Goal::AtMost(limit)) => format!("at most {}", number(limit)),
        Some(Goal::AtLeast(limit)) => format!("at least {}", number(limit)),
    }
}

fn verdict(figure: &Figure) -> &'static str {
    match figure.is_met() {
        None => "",
        Some(true) => "met",
        Some(false) => "**missed**",
    }
}

/// A heading as the end of a link to it.
fn anchor(title: &str) -> String {
    let kept = title.to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ')
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Spread;

    #[test]
    fn the_page_tells_what_was_missed_and_holds_the_findings() {
        let mut section = Section::new("http", "One rate over HTTP", false);
        let slow = Spread {
            median: 3.0,
            low: 2.0,
            high: 4.0,
            samples: 3,
        };
        section.figure("slow", "us", slow, Some(Goal::AtMost(1.0)));
        section.number("plain", "us", 1.0, None);
        let text = page(&[section], |name| {
            (name == "http").then(|| "Because of this.".to_owned())
        });
        let row = "| slow | 3 us (2 to 4, 3 rounds) | at most 1 | **missed** |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("(#one-rate-over-http)"));
        assert!(text.contains("Because of this."));
        assert!(text.contains("| plain | 1 us |  |  |"));
    }
}
