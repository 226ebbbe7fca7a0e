//! Child processes: bound to a core, never outliving this program, with their use of CPU and
//! memory read from `/proc`.

use crate::client;
use anyhow::{Context as _, Result, bail, ensure};
use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Clock ticks of `/proc/PID/stat` per second: fixed on Linux, whatever the kernel's own rate.
const TICKS_PER_SECOND: f64 = 100.0;
/// A server that is not there after this long does not come.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The file of a program: from the search path, or from where only root looks.
pub(crate) fn find(program: &str) -> PathBuf {
    let system = Path::new("/usr/sbin").join(program);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file());
    found.unwrap_or(system)
}

/// Fails with the way to get it when a program is not there.
pub(crate) fn need(program: &str, package: &str) -> Result<PathBuf> {
    let path = find(program);
    ensure!(
        path.is_file(),
        "{program} is missing: `cargo xtask bench` installs it, as does `apt-get install {package}`"
    );
    Ok(path)
}

/// A command bound to a core, if one is named, that the kernel kills when this program ends.
///
/// Must be started from the main thread: the kernel looks at the thread that started it.
pub(crate) fn command(core: Option<usize>, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(find("setpriv"));
    command.args(["--pdeathsig", "KILL", "--"]);
    if let Some(core) = core {
        command.arg(find("taskset")).args(["-c", &core.to_string()]);
    }
    command
        .arg(program.as_ref())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// A free port of the loopback interface.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    listener.local_addr().context("no free port")
}

/// CPU time, in the program itself and in the kernel for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cpu {
    pub(crate) user_us: f64,
    pub(crate) kernel_us: f64,
}

impl Cpu {
    /// Used since an earlier moment.
    pub(crate) fn since(self, earlier: Self) -> Self {
        let user_us = self.user_us - earlier.user_us;
        Self {
            user_us,
            kernel_us: self.kernel_us - earlier.kernel_us,
        }
    }

    /// Both together.
    pub(crate) fn total_us(self) -> f64 {
        self.user_us + self.kernel_us
    }
}

/// CPU time this program has used, all its threads together.
pub(crate) fn own_cpu() -> Result<Cpu> {
    own_stat(OWN)
}

/// CPU time that the child processes of this program have used that run at present, such as
/// private servers.
pub(crate) fn children_cpu() -> Result<Cpu> {
    let mut all = Cpu {
        user_us: 0.0,
        kernel_us: 0.0,
    };
    let tasks = std::fs::read_dir("/proc/self/task").context("no list of threads")?;
    for task in tasks.flatten() {
        // A thread that has just ended has none.
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            if let Some(used) = cpu_at(&stat, OWN) {
                all.user_us += used.user_us;
                all.kernel_us += used.kernel_us;
            }
        }
    }
    Ok(all)
}

/// CPU time of the child processes of this program that have ended and were waited for.
pub(crate) fn ended_cpu() -> Result<Cpu> {
    own_stat(ENDED)
}

/// How long the cores of this machine have been busy, all together, with whatever.
pub(crate) fn busy() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/stat").context("no CPU time of the machine")?;
    busy_of(&text).context("no CPU time of the machine")
}

/// User, nice, system; then idle and waiting for disks, which do not count; then interrupts. What
/// another machine took follows and does not count either.
fn busy_of(stat: &str) -> Option<Duration> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<f64> = line
        .split_whitespace()
        .map_while(|text| text.parse().ok())
        .collect();
    let busy: f64 = [0, 1, 2, 5, 6].iter().filter_map(|at| ticks.get(*at)).sum();
    Some(Duration::from_secs_f64(busy / TICKS_PER_SECOND))
}

fn own_stat(place: usize) -> Result<Cpu> {
    let text = std::fs::read_to_string("/proc/self/stat").context("no CPU time of this program")?;
    cpu_at(&text, place).context("no CPU time of this program")
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server that is known to be there when `path` is answered by 200.
    pub(crate) fn start(mut command: Command, address: SocketAddr, path: &str) -> Result<Self> {
        let server = Self::spawn(&mut command, address)?;
        server.wait_for(path)
    }

    /// Starts a server without waiting for it.
    pub(crate) fn spawn(command: &mut Command, address: SocketAddr) -> Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, address })
    }

    /// Waits until `path` is answered by 200.
    pub(crate) fn wait_for(mut self, path: &str) -> Result<Self> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let answer = client::get(self.address, path, "");
            if answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                return Ok(self);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended at once: {status}");
            }
            if Instant::now() > deadline {
                let why = answer.map_or_else(
                    |error| format!("{error:#}"),
                    |answer| answer.status.to_string(),
                );
                bail!("{path} was not answered by 200 within {START_LIMIT:?}, at last: {why}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// CPU time used so far by all its threads.
    pub(crate) fn cpu(&self) -> Result<Cpu> {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        cpu_at(&text, OWN).with_context(|| format!("{path} is not understood"))
    }

    /// Lets `VmHWM` begin anew at what is resident now.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        let path = format!("/proc/{}/clear_refs", self.child.id());
        std::fs::write(&path, "5").with_context(|| format!("cannot write {path}"))
    }

    /// A line of `/proc/PID/status` in kilobytes, such as `VmRSS`.
    pub(crate) fn kilobytes(&self, name: &str) -> Result<f64> {
        kilobytes(self.child.id(), name)
    }

    /// Ends it at once, as a crash does. Its address is free afterwards.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, as an administrator does, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        let id = self.child.id();
        let asked = Command::new("sh")
            .args(["-c", &format!("kill -TERM {id}")])
            .status();
        ensure!(asked.is_ok_and(|done| done.success()), "cannot signal {id}");
        let deadline = Instant::now() + START_LIMIT;
        while self.child.try_wait()?.is_none() {
            ensure!(
                Instant::now() < deadline,
                "the server did not end within {START_LIMIT:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left of it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of `/proc/PID/status` in kilobytes, such as `VmRSS`.
pub(crate) fn kilobytes(process: u32, name: &str) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    number.with_context(|| format!("{path} has no {name}"))
}

/// Fields 14 and 15 of `/proc/PID/stat`, counted after the name: what a process has used.
const OWN: usize = 11;
/// Fields 16 and 17: what its children had used when they ended.
const ENDED: usize = 13;

/// Two fields, counted after the name, which may hold blanks and brackets.
fn cpu_at(stat: &str, place: usize) -> Option<Cpu> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(place);
    let mut microseconds = || Some(fields.next()?.parse::<f64>().ok()? / TICKS_PER_SECOND * 1e6);
    Some(Cpu {
        user_us: microseconds()?,
        kernel_us: microseconds()?,
    })
}

/// CPU time the calling thread has used. The kernel brings the figure up to date when a thread
/// gives way, so this one does.
pub(crate) fn thread_cpu() -> Result<Duration> {
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")
        .context("no CPU time of a thread")?;
    let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok());
    nanoseconds
        .map(Duration::from_nanos)
        .context("no CPU time of a thread")
}

/// How long the calling thread has been ready to run and has waited for a core.
pub(crate) fn thread_waited() -> Result<Duration> {
    let text =
        std::fs::read_to_string("/proc/thread-self/schedstat").context("no waits of a thread")?;
    let nanoseconds = text.split(' ').nth(1).and_then(|text| text.parse().ok());
    nanoseconds
        .map(Duration::from_nanos)
        .context("no waits of a thread")
}

/// Puts the calling thread behind those with a smaller niceness: what only makes work for others
/// must not disturb who measures on the same core.
pub(crate) fn stand_back(niceness: u8) -> Result<()> {
    let thread = std::fs::read_link("/proc/thread-self").context("cannot find this thread")?;
    let thread = thread.file_name().context("cannot find this thread")?;
    let done = Command::new(find("renice"))
        .args(["-n", &niceness.to_string(), "-p"])
        .arg(thread)
        .stdout(Stdio::null())
        .status()
        .context("cannot start renice")?;
    ensure!(done.success(), "renice: {done}");
    Ok(())
}

/// Binds the calling thread to a core, and with it every thread that it starts from now on.
/// Dropping the guard lets it run on all cores again.
#[derive(Debug)]
pub(crate) struct Pinned {
    cores: usize,
}

impl Pinned {
    pub(crate) fn to(core: usize) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        bind(&core.to_string())?;
        Ok(Self { cores })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // A thread that cannot be let loose only makes the next measurement slower.
        let _ = bind(&format!("0-{}", self.cores.max(1) - 1));
    }
}

fn bind(cores: &str) -> Result<()> {
    let thread = std::fs::read_link("/proc/thread-self").context("cannot find this thread")?;
    let thread = thread.file_name().context("cannot find this thread")?;
    let output = Command::new(find("taskset"))
        .args(["-p", "-c", cores])
        .arg(thread)
        .output();
    let output = output.context("cannot start taskset")?;
    ensure!(
        output.status.success(),
        "taskset: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_uses_cpu_time() {
        let before = thread_cpu().unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while thread_cpu().unwrap() < before + Duration::from_millis(2) {
            assert!(Instant::now() < end, "no CPU time is seen");
        }
    }

    #[test]
    fn a_machine_is_not_busy_when_it_is_idle_or_waits() {
        let stat = "cpu  100 20 30 5000 600 7 3 900 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(busy_of(stat), Some(Duration::from_millis(1_600)));
        assert!(busy().unwrap() > Duration::ZERO);
    }

    #[test]
    fn cpu_time_is_read_behind_a_name_with_blanks_and_brackets() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 7 3 20 0 1 0 5 1 1";
        let used = |user_us, kernel_us| Some(Cpu { user_us, kernel_us });
        assert_eq!(cpu_at(stat, OWN), used(1_500_000.0, 500_000.0));
        assert_eq!(cpu_at(stat, ENDED), used(70_000.0, 30_000.0));
    }
}
