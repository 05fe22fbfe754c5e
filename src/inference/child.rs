//! Checks that may end the process, made in a child process.
//!
//! Comes in: a check. Goes out: its error, or how the child ended and what it printed. Dawn, under the WebGPU provider,
//! aborts the process where a driver lacks what it needs, so nothing short of another process can find that out. A plugin
//! has no program of its own to start, and its host may be anything: the child is a fork of the host.
//!
//! A fork has only the thread that called it, and locks that other threads held stay locked. The C library makes its own
//! usable again (memory, streams, the loader). The check must not touch the host's: the log is silent in the child, GStreamer
//! is not called, and a session is made from scratch. Should the child hang all the same, the time limit makes that an error.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Written by the child after everything that libraries may have printed.
const PASSED: &str = "\u{6}passed";
const FAILED: &str = "\u{6}failed: ";

/// Makes the `check` in a child process, for `limit` at most.
///
/// # Errors
/// The check's, or that the child ended early, with what it printed last.
pub(super) fn check(limit: Duration, check: impl FnOnce() -> Result<()>) -> Result<()> {
    let (reader, writer) = std::io::pipe().context("no pipe to a child process")?;
    // SAFETY: the child runs `in_child` alone, which never returns; see above for the locks of other threads.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()).context("no child process"),
        0 => in_child(writer, check),
        pid => {
            drop(writer);
            in_parent(reader, pid, limit)
        }
    }
}

/// What libraries print goes to the parent.
fn in_child(mut writer: std::io::PipeWriter, check: impl FnOnce() -> Result<()>) -> ! {
    super::log::silence();
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain system calls on descriptors of this process; a core file of the child would be of no use.
    unsafe {
        libc::dup2(writer.as_raw_fd(), 1);
        libc::dup2(writer.as_raw_fd(), 2);
        libc::setrlimit(libc::RLIMIT_CORE, &none);
    }
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
    let verdict = match result {
        Ok(Ok(())) => PASSED.to_owned(),
        Ok(Err(problem)) => format!("{FAILED}{problem:#}"),
        Err(_) => format!("{FAILED}it panicked"),
    };
    // Without a reader nobody needs the verdict.
    let _ = writer.write_all(verdict.as_bytes());
    // SAFETY: ends the child without what the host registered for its own end.
    unsafe { libc::_exit(0) }
}

fn in_parent(mut reader: std::io::PipeReader, pid: libc::pid_t, limit: Duration) -> Result<()> {
    let (sender, receiver) = channel();
    let read = move || {
        let mut printed = Vec::new();
        // What was read before an error is all there is.
        let _ = reader.read_to_end(&mut printed);
        let _ = sender.send(printed);
    };
    let reading = std::thread::Builder::new().name("styletransfer-check".into()).spawn(read);
    let printed = reading.ok().and_then(|_| receiver.recv_timeout(limit).ok());
    let mut status = 0;
    // SAFETY: the child is ours and is waited for here alone. A host that waits for every child may have done so already:
    // then the status stays 0, and what the child wrote decides.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, &mut status, 0);
    }
    let Some(printed) = printed else { bail!("no answer from a child process within {} s", limit.as_secs()) };
    verdict(&String::from_utf8_lossy(&printed), status)
}

fn verdict(printed: &str, status: libc::c_int) -> Result<()> {
    if printed.contains(PASSED) {
        return Ok(());
    }
    if let Some((_, reason)) = printed.split_once(FAILED) {
        bail!("{}", reason.trim());
    }
    let lines: Vec<&str> = printed.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(3)..].join(" ");
    match libc::WIFSIGNALED(status) {
        true => bail!("it ends the process with signal {}: {last}", libc::WTERMSIG(status)),
        false => bail!("it ends the process: {last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn problem(limit: Duration, work: impl FnOnce() -> Result<()>) -> String {
        check(limit, work).unwrap_err().to_string()
    }

    #[test]
    fn what_the_child_comes_to_is_known() {
        check(LIMIT, || Ok(())).unwrap();
        assert_eq!(problem(LIMIT, || bail!("no adapter")), "no adapter");
        let aborts = problem(LIMIT, || {
            let _ = std::io::stderr().write_all(b"first\nthe device is lost\n");
            std::process::abort()
        });
        assert!(aborts.contains("signal 6") && aborts.contains("the device is lost"), "{aborts}");
        let quits = problem(LIMIT, || std::process::exit(0));
        assert!(quits.contains("ends the process"), "{quits}");
        let hangs = problem(Duration::from_millis(200), || {
            loop {
                std::thread::sleep(LIMIT);
            }
        });
        assert!(hangs.contains("no answer"), "{hangs}");
    }
}
