//! The two text forms of metrics. The registry writes OpenMetrics; older scrapers read 0.0.4.

use std::collections::HashMap;
use std::fmt::Write;

pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
pub(crate) const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Rewrites OpenMetrics text as Prometheus text 0.0.4: there, a counter is named with its
/// `_total`, an info metric is a gauge, and units, exemplars and the end mark are unknown.
pub(crate) fn to_prometheus(openmetrics: &str) -> String {
    let mut kinds: HashMap<&str, &str> = HashMap::new();
    for line in openmetrics.lines() {
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            kinds.insert(name, kind);
        }
    }
    let mut text = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            let (name, _) = renamed(name, kinds.get(name).copied().unwrap_or("unknown"));
            let _ = writeln!(text, "# HELP {name} {help}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "unknown"));
            let (name, kind) = renamed(name, kind);
            let _ = writeln!(text, "# TYPE {name} {kind}");
        } else if !line.starts_with('#') {
            let sample = line.split_once(" # {").map_or(line, |(sample, _)| sample);
            text.push_str(sample);
            text.push('\n');
        }
    }
    text
}

fn renamed<'a>(name: &str, kind: &'a str) -> (String, &'a str) {
    match kind {
        "counter" => (format!("{name}_total"), kind),
        "info" => (format!("{name}_info"), "gauge"),
        "stateset" => (name.to_owned(), "gauge"),
        "unknown" => (name.to_owned(), "untyped"),
        _ => (name.to_owned(), kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_becomes_the_older_form() {
        let openmetrics = "# HELP kurs_x Things.\n# TYPE kurs_x counter\n# UNIT kurs_x seconds\n\
            kurs_x_total{a=\"b # c\"} 3 # {id=\"1\"} 0.5\n# TYPE kurs_build info\nkurs_build_info{v=\"1\"} 1\n\
            # TYPE kurs_g gauge\nkurs_g 4\n# EOF\n";
        assert_eq!(
            to_prometheus(openmetrics),
            "# HELP kurs_x_total Things.\n# TYPE kurs_x_total counter\nkurs_x_total{a=\"b # c\"} 3\n\
             # TYPE kurs_build_info gauge\nkurs_build_info{v=\"1\"} 1\n# TYPE kurs_g gauge\nkurs_g 4\n"
        );
    }
}
