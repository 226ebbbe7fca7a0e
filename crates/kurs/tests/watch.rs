//! `kurs watch` in a terminal: the real binary in tmux, against `kurs demo`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this file is only tests")]

use kurs_testkit::PrivateProcess;
use kurs_testkit::process::free_port;
use kurs_testkit::wait::until_async;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longest time anything here may take; only a hang comes near it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `kurs demo` on this port, as soon as it has rates.
async fn demo(port: u16) -> PrivateProcess {
    let program = Path::new(env!("CARGO_BIN_EXE_kurs"));
    let address = format!("127.0.0.1:{port}");
    let settings = [("KURS_HTTP__ADDR", address.as_str())];
    let process = PrivateProcess::start(program, ["demo"], settings);
    process.line("kurs is ready: ", PATIENCE).await;
    process
}

/// A terminal of a size of its own.
struct Terminal {
    folder: tempfile::TempDir,
    server: String,
}

impl Terminal {
    fn new(port: u16, width: u16, height: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let terminal = Self {
            folder,
            server: format!("http://127.0.0.1:{port}"),
        };
        let (width, height) = (width.to_string(), height.to_string());
        let size = ["-x", &width, "-y", &height];
        // A shell without files of its own, whose prompt is known.
        let shell = ["env", "PS1=ready> ", "sh"];
        let new = ["-f", "/dev/null", "-u", "new-session", "-d", "-s", "watch"];
        terminal.tmux(&[&new[..], &size[..], &shell[..]].concat());
        terminal
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("tmux")
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .arg("-S")
            .arg(self.socket())
            .args(arguments)
            .env_remove("TMUX")
            .env_remove("NO_COLOR")
            .env("LC_ALL", "C.UTF-8")
            .env("KURS_SERVER", &self.server)
            .output()
            .unwrap_or_else(|error| panic!("tmux cannot be started: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys", "-t", "watch"][..], keys].concat());
    }

    /// Runs a command and says its exit code when it has ended.
    fn run(&self, command: &str) {
        let line = format!("{command}; echo code=$?=");
        self.keys(&["-l", &line]);
        self.keys(&["Enter"]);
    }

    fn watch(&self, arguments: &str) {
        self.run(&format!("{} watch {arguments}", env!("CARGO_BIN_EXE_kurs")));
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "watch"])
    }

    /// The screen as soon as it shows all of these.
    async fn shows(&self, parts: &[&str]) -> String {
        let all = |screen: &str| contains_all(screen, parts);
        self.is(&format!("a screen with {parts:?}"), all).await
    }

    /// The screen as soon as it is like this. One that is looked at while it is drawn is half of
    /// the former one, so whatever is asked of a screen is waited for.
    async fn is(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let seen = until_async("", PATIENCE, || async {
            let screen = self.screen();
            is(&screen).then_some(screen)
        });
        match tokio::time::timeout(PATIENCE.mul_f64(0.95), seen).await {
            Ok(screen) => screen,
            Err(_) => panic!("{what} did not come:\n{}", self.screen()),
        }
    }

    fn resize(&self, width: u16, height: u16) {
        let (width, height) = (width.to_string(), height.to_string());
        self.tmux(&["resize-window", "-t", "watch", "-x", &width, "-y", &height]);
    }

    fn is_given_back(&self) -> bool {
        let state = "#{alternate_on} #{cursor_flag}";
        self.tmux(&["display-message", "-p", "-t", "watch", state]) == "0 1\n"
    }

    /// How the line of the terminal is set: echo, signals, line editing.
    async fn settings(&self, mark: &str) -> String {
        self.keys(&["-l", &format!("echo {mark}=$(stty -g)=")]);
        self.keys(&["Enter"]);
        let start = format!("\n{mark}=");
        let settings_of = |screen: &str| {
            let (_, rest) = screen.rsplit_once(&start)?;
            let (settings, _) = rest.split_once('=')?;
            // It is longer than a line.
            Some(settings.replace('\n', ""))
        };
        let whole = |screen: &str| settings_of(screen).is_some();
        let screen = self.is("the settings of the terminal", whole).await;
        settings_of(&screen).unwrap()
    }

    /// The program that runs in the shell.
    async fn child(&self) -> String {
        let shell = self.tmux(&["display-message", "-p", "-t", "watch", "#{pane_pid}"]);
        let shell = shell.trim().to_owned();
        let file = format!("/proc/{shell}/task/{shell}/children");
        until_async("a program in the shell", PATIENCE, || async {
            let children = std::fs::read_to_string(&file).ok()?;
            children.split_whitespace().next().map(str::to_owned)
        })
        .await
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux")
            .arg("-S")
            .arg(self.socket())
            .arg("kill-server")
            .stderr(Stdio::null())
            .status();
    }
}

/// The first and the last line of a screen of so many lines; both empty when it has others.
fn ends(screen: &str, height: usize) -> (&str, &str) {
    let lines: Vec<&str> = screen.lines().collect();
    match lines.as_slice() {
        [first, .., last] if lines.len() == height => (first, last),
        _ => ("", ""),
    }
}

fn contains_all(screen: &str, parts: &[&str]) -> bool {
    parts.iter().all(|part| screen.contains(part))
}

fn line_of<'a>(screen: &'a str, text: &str) -> &'a str {
    screen
        .lines()
        .find(|line| line.contains(text))
        .unwrap_or("")
}

#[tokio::test]
async fn the_screen_is_right_in_every_size_and_the_terminal_is_given_back() {
    let port = free_port();
    let _demo = demo(port).await;
    let terminal = Terminal::new(port, 80, 24);
    let before = terminal.settings("before").await;
    terminal.watch("");
    let small = |screen: &str| {
        let (first, last) = ends(screen, 24);
        let btc = line_of(screen, "BTC-USD");
        first.starts_with(" kurs watch")
            && last.contains("q quit")
            && last.contains("? help")
            && btc.contains("fresh")
            && btc.contains("sim:")
            // There is no room for it.
            && !screen.contains("bid")
            && contains_all(screen, &["SIMULATED PRICES", "live for", " pairs"])
    };
    terminal.is("the small screen", small).await;

    terminal.resize(200, 50);
    let large = |screen: &str| {
        let (first, last) = ends(screen, 50);
        first.starts_with(" kurs watch")
            && last.contains("q quit")
            && line_of(screen, "USDTTRC-RUB").contains("fresh")
            && contains_all(screen, &["bid", "ask", "sim:kraken", "websocket", "last "])
    };
    terminal.is("the large screen", large).await;

    terminal.resize(80, 24);
    terminal.is("the small screen again", small).await;

    terminal.keys(&["q"]);
    terminal.shows(&["code=0="]).await;
    assert!(terminal.is_given_back());
    assert_eq!(terminal.settings("after").await, before);
}

#[tokio::test]
async fn keys_move_search_explain_and_show_sources() {
    let port = free_port();
    let _demo = demo(port).await;
    let terminal = Terminal::new(port, 100, 40);
    terminal.watch("btc/usd ETHRUB BTC-RUB");
    terminal.shows(&["▸ BTC-USD", "ETH-RUB", "3 pairs"]).await;
    terminal.keys(&["j"]);
    terminal.shows(&["▸ ETH-RUB"]).await;
    terminal.keys(&["Up"]);
    terminal.shows(&["▸ BTC-USD"]).await;
    terminal.keys(&["s"]);
    terminal
        .shows(&["sim:coingecko", "websocket", "poll"])
        .await;
    terminal.keys(&["/", "r", "u", "b"]);
    terminal.shows(&["search: rub_", "▸ ETH-RUB"]).await;
    terminal.keys(&["Enter", "Enter"]);
    terminal
        .shows(&["┌ ETH-RUB", "age of the oldest leg", "USD-RUB"])
        .await;
    terminal.keys(&["Escape"]);
    // Escape and a letter at once are one key with Alt.
    until_async("the table alone", PATIENCE, || async {
        (!terminal.screen().contains("age of the oldest leg")).then_some(())
    })
    .await;
    terminal.keys(&["o", "p"]);
    terminal.shows(&["order: name", "PAUSED"]).await;
    terminal.keys(&["?"]);
    terminal.shows(&["┌ keys", "draw everything anew"]).await;
    terminal.keys(&["q"]);
    terminal.shows(&["code=0="]).await;
}

#[tokio::test]
async fn a_lost_connection_is_told_and_the_view_goes_on_when_it_is_back() {
    let port = free_port();
    let server = demo(port).await;
    let terminal = Terminal::new(port, 120, 24);
    terminal.watch("BTC-USD");
    terminal.shows(&["live for", "fresh"]).await;
    drop(server);
    terminal.shows(&["CONNECTION LOST", "next attempt"]).await;
    let last_value_stays =
        |screen: &str| screen.contains("STALE!") && line_of(screen, "BTC-USD").contains("sim:");
    terminal.is("the last value, stale", last_value_stays).await;
    let _again = demo(port).await;
    let is_live = |screen: &str| {
        contains_all(screen, &["live for", "fresh"]) && !screen.contains("CONNECTION LOST")
    };
    terminal.is("the live view", is_live).await;
    terminal.keys(&["Escape"]);
    terminal.shows(&["code=0="]).await;
}

#[tokio::test]
async fn ctrl_c_and_signals_give_the_terminal_back() {
    let port = free_port();
    let _demo = demo(port).await;
    let terminal = Terminal::new(port, 80, 24);
    let before = terminal.settings("before").await;
    for (way, code) in [("C-c", 130), ("-INT", 130), ("-TERM", 0), ("-HUP", 0)] {
        terminal.watch("BTC-USD");
        terminal.shows(&["live for"]).await;
        if way == "C-c" {
            terminal.keys(&[way]);
        } else {
            let child = terminal.child().await;
            let sent = Command::new("kill").args([way, &child]).status().unwrap();
            assert!(sent.success());
        }
        terminal.shows(&[&format!("code={code}=")]).await;
        assert!(terminal.is_given_back(), "after {way}");
        terminal.run("clear");
        terminal.shows(&["ready>"]).await;
        assert_eq!(terminal.settings("after").await, before, "after {way}");
        terminal.run("clear");
    }
}

#[tokio::test]
async fn without_a_terminal_lines_are_written() {
    let port = free_port();
    let _demo = demo(port).await;
    let server = format!("http://127.0.0.1:{port}");
    for (form, wanted) in [
        ("--quiet", "\tBTC-USD\t"),
        ("--plain", "\tBTC-USD\t"),
        ("--json", "{\"event\":\"rate\",\"id\":\""),
    ] {
        let program = Path::new(env!("CARGO_BIN_EXE_kurs"));
        let arguments = ["watch", "BTC-USD", form, "--server", &server];
        let process = PrivateProcess::start(program, arguments, [("TERM", "xterm")]);
        let line = process.line(wanted, PATIENCE).await;
        assert!(!line.contains('\u{1b}'), "{line:?}");
        if form == "--json" {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(event["data"]["topic"], "rate:BTC-USD");
        } else {
            let cells: Vec<&str> = line.split('\t').collect();
            assert_eq!((cells.len(), cells[5]), (7, "fresh"), "{line:?}");
            assert!(cells[6].starts_with("sim:"), "{line:?}");
        }
    }
}

#[tokio::test]
async fn a_terminal_that_cannot_be_drawn_on_gets_lines_and_no_server_is_code_5() {
    let port = free_port();
    let terminal = Terminal::new(port, 80, 24);
    terminal.watch("BTC-USD");
    terminal.shows(&["cannot be reached", "code=5="]).await;
    let _demo = demo(port).await;
    let program = env!("CARGO_BIN_EXE_kurs");
    terminal.run(&format!("TERM=dumb {program} watch BTC-USD"));
    terminal.shows(&["BTC-USD", "sim:binance"]).await;
    assert!(!terminal.screen().contains("kurs watch  http"));
    terminal.keys(&["C-c"]);
    terminal.shows(&["code=130="]).await;
}
