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
        let seen = until_async("", PATIENCE, || async {
            let screen = self.screen();
            parts
                .iter()
                .all(|part| screen.contains(part))
                .then_some(screen)
        });
        match tokio::time::timeout(PATIENCE.mul_f64(0.95), seen).await {
            Ok(screen) => screen,
            Err(_) => panic!("{parts:?} are not on the screen:\n{}", self.screen()),
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
        let screen = self.shows(&[&start]).await;
        let (_, rest) = screen.rsplit_once(&start).unwrap();
        // It is longer than a line.
        let settings = rest.split('=').next().unwrap();
        settings.replace('\n', "")
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

/// The lines of a screen, none of which is wider than it.
fn lines(screen: &str, width: usize) -> Vec<&str> {
    let lines: Vec<&str> = screen.lines().collect();
    for line in &lines {
        assert!(
            line.chars().count() <= width,
            "{line:?} is wider than {width}"
        );
    }
    lines
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
    let screen = terminal
        .shows(&["SIMULATED PRICES", "BTC-USD", "live for", " pairs"])
        .await;
    let small = lines(&screen, 80);
    assert!(small[0].starts_with(" kurs watch"), "{screen}");
    assert!(
        small[23].contains("q quit") && small[23].contains("? help"),
        "{screen}"
    );
    let btc = line_of(&screen, "BTC-USD");
    assert!(btc.contains("fresh") && btc.contains("sim:"), "{btc:?}");
    assert!(
        !screen.contains("bid"),
        "there is no room for it:\n{screen}"
    );

    terminal.resize(200, 50);
    let screen = terminal
        .shows(&["bid", "ask", "sim:kraken", "websocket", "last "])
        .await;
    let large = lines(&screen, 200);
    assert!(large[49].contains("q quit"), "{screen}");
    assert!(
        line_of(&screen, "USDTTRC-RUB").contains("fresh"),
        "{screen}"
    );

    terminal.resize(80, 24);
    let until = until_async("the small screen", PATIENCE, || async {
        let screen = terminal.screen();
        let is_small = !screen.contains("bid") && line_of(&screen, "q quit").contains("? help");
        is_small.then_some(screen)
    });
    lines(&until.await, 80);

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
    let screen = terminal.shows(&["STALE!"]).await;
    assert!(
        line_of(&screen, "BTC-USD").contains("sim:"),
        "the last value stays:\n{screen}"
    );
    let _again = demo(port).await;
    let screen = terminal.shows(&["live for", "fresh"]).await;
    assert!(!screen.contains("CONNECTION LOST"), "{screen}");
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
    let screen = terminal.shows(&["code=5="]).await;
    assert!(screen.contains("cannot be reached"), "{screen}");
    let _demo = demo(port).await;
    let program = env!("CARGO_BIN_EXE_kurs");
    terminal.run(&format!("TERM=dumb {program} watch BTC-USD"));
    terminal.shows(&["BTC-USD", "sim:binance"]).await;
    assert!(!terminal.screen().contains("kurs watch  http"));
    terminal.keys(&["C-c"]);
    terminal.shows(&["code=130="]).await;
}
