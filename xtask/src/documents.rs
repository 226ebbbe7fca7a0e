//! The commands that the texts show, taken from the fenced blocks of Markdown.

/// One command of the repository in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// `cargo xtask <arguments>`
    Task(Vec<String>),
    /// The binary, by `cargo run -- <arguments>` or by its name.
    Binary(Vec<String>),
}

/// A command and the line it stands on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) shown: Shown,
}

/// Languages of blocks that hold commands.
const LANGUAGES: [&str; 4] = ["sh", "bash", "shell", "console"];
/// Words that end one command of a line.
const SEPARATORS: [&str; 5] = ["|", "||", "&&", ";", "&"];
/// Words after which only files or remarks follow.
const ENDINGS: [&str; 6] = [">", ">>", "2>", "<", "#", "--%"];

/// All commands of ours in the text. What else a block shows (`curl`, `docker`) is not ours to judge.
pub(crate) fn commands(text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let mut in_block = false;
    let mut started: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(language) = line.strip_prefix("```") {
            in_block = !in_block && LANGUAGES.contains(&language.trim());
            started = None;
            continue;
        }
        if !in_block {
            continue;
        }
        let (first, mut whole) = started.take().unwrap_or((index + 1, String::new()));
        whole.push_str(line);
        if let Some(open) = whole.strip_suffix('\\') {
            started = Some((first, open.to_owned()));
            continue;
        }
        let words = split(&whole);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for command in words.split(|word| SEPARATORS.contains(word)) {
            places.extend(shown(command).map(|shown| Place { line: first, shown }));
        }
    }
    places
}

/// The words of a command line: what stands in quotes is one. A quote that is not closed is an
/// apostrophe of a remark.
fn split(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        let trimmed = |word: &str| word.trim_matches(['"', '\'']).to_owned();
        return line.split_whitespace().map(trimmed).collect();
    }
    words.extend(word);
    words
}

fn shown(words: &[&str]) -> Option<Shown> {
    let end = words
        .iter()
        .position(|word| ENDINGS.contains(word))
        .unwrap_or(words.len());
    let is_variable = |word: &&&str| word.contains('=') && !word.starts_with('-');
    let before = words
        .iter()
        .take_while(|word| **word == "$" || is_variable(word))
        .count();
    let words = words[..end].get(before..)?;
    let owned = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<String>>()
    };
    match words {
        // What follows `--` goes to another program.
        ["cargo", "xtask", rest @ ..] => {
            Some(Shown::Task(owned(rest.split(|word| *word == "--").next()?)))
        }
        ["cargo", "run", rest @ ..] => {
            let split = rest
                .iter()
                .position(|word| *word == "--")
                .unwrap_or(rest.len());
            let (options, arguments) = rest.split_at(split);
            let elsewhere = options
                .windows(2)
                .any(|pair| ["-p", "--package", "--bin"].contains(&pair[0]) && pair[1] != "kurs");
            let ours = !elsewhere && !options.contains(&"--example");
            ours.then(|| Shown::Binary(owned(arguments.get(1..).unwrap_or_default())))
        }
        [program, rest @ ..] if *program == "kurs" || program.ends_with("/kurs") => {
            Some(Shown::Binary(owned(rest)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(block: &str, expect: &[Shown]) {
        let found: Vec<Shown> = commands(&format!("```sh\n{block}\n```"))
            .into_iter()
            .map(|place| place.shown)
            .collect();
        assert_eq!(found, expect, "{block}");
    }

    fn task(words: &str) -> Shown {
        Shown::Task(words.split_whitespace().map(str::to_owned).collect())
    }

    fn binary(words: &str) -> Shown {
        Shown::Binary(words.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn what_stands_in_quotes_is_one_word() {
        let words = [
            "settings",
            "set",
            "a.b",
            "false",
            "--why",
            "it lags | since noon",
        ];
        let shown = Shown::Binary(words.map(str::to_owned).to_vec());
        check(
            "$ kurs settings set a.b false --why \"it lags | since noon\" | cat",
            &[shown],
        );
        check("kurs get BTC-USD # the bank's", &[binary("get BTC-USD")]);
    }

    #[test]
    fn tasks_are_found_up_to_foreign_arguments() {
        check(
            "cargo xtask test --only layers",
            &[task("test --only layers")],
        );
        check(
            "$ CARGO_TERM_COLOR=never cargo xtask bench -- latency",
            &[task("bench")],
        );
    }

    #[test]
    fn the_binary_is_found_by_cargo_and_by_name() {
        check(
            "cargo run --release -- demo --port 8080",
            &[binary("demo --port 8080")],
        );
        check("cargo run --release", &[binary("")]);
        check(
            "./target/release/kurs get BTC-USD # the price",
            &[binary("get BTC-USD")],
        );
        check(
            "kurs convert 1 BTC USD | tee out && kurs health",
            &[binary("convert 1 BTC USD"), binary("health")],
        );
        check("kurs config print > kurs.toml", &[binary("config print")]);
        check("kurs history \\\n  BTC-USD", &[binary("history BTC-USD")]);
    }

    #[test]
    fn programs_of_others_are_left_alone() {
        check(
            "curl localhost:8080/courses\ncargo run -p kurs-bench -- all\ncargo test",
            &[],
        );
    }

    #[test]
    fn only_blocks_of_commands_are_read() {
        assert!(commands("kurs none\n```json\nkurs none\n```\nkurs none").is_empty());
        let places = commands("text\n\n```console\n\nkurs sim\n```\nkurs none");
        assert_eq!(
            places,
            [Place {
                line: 5,
                shown: binary("sim")
            }]
        );
    }
}
