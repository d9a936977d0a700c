//! Running a program for its output and exit code, in the examples' tests.

use std::process::Command;

/// The outcome of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed on standard output.
    pub out: String,
    /// What it printed on standard error.
    pub err: String,
}

/// Runs a program to its end.
///
/// # Panics
/// If it cannot be started, or its output is not UTF-8.
///
/// # Examples
///
/// ```
/// use std::process::Command;
/// use lab::program::ran;
///
/// let ran = ran(Command::new("sh").args(["-c", "echo hello; exit 3"]));
/// assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(3), "hello\n", ""));
/// ```
#[must_use]
pub fn ran(command: &mut Command) -> Ran {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("cannot start {command:?}: {error}"),
    };
    let text = |bytes| match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => panic!("{command:?} printed what is not text: {error}"),
    };
    Ran {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

impl Ran {
    /// Its standard output, if it ended with this exit code.
    ///
    /// # Panics
    /// If it ended otherwise, with its output.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::process::Command;
    /// use lab::program::ran;
    ///
    /// assert_eq!(ran(Command::new("echo").arg("hello")).ended(0), "hello\n");
    /// ```
    #[must_use]
    pub fn ended(&self, code: i32) -> &str {
        let Self { out, err, .. } = self;
        assert_eq!(self.code, Some(code), "it said\n{out}{err}");
        out
    }

    /// Like [`ended`](Self::ended), with nothing on standard error: progress is hidden where that is not a terminal.
    ///
    /// # Panics
    /// If it ended otherwise, or printed anything there.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::process::Command;
    /// use lab::program::ran;
    ///
    /// assert_eq!(ran(Command::new("echo").arg("hello")).ended_quietly(0), "hello\n");
    /// ```
    #[must_use]
    pub fn ended_quietly(&self, code: i32) -> &str {
        let out = self.ended(code);
        assert_eq!(self.err, "");
        out
    }
}

/// Checks that the help of a program names all of these.
///
/// # Panics
/// If there is none, or it lacks one.
///
/// # Examples
///
/// ```
/// use std::process::Command;
/// use lab::program::{assert_help_names, ran};
///
/// let echo = |arguments: &[&str]| ran(Command::new("echo").args(arguments).arg("--size"));
/// assert_help_names(echo, &["--help", "--size"]);
/// ```
pub fn assert_help_names(call: impl Fn(&[&str]) -> Ran, options: &[&str]) {
    let help = call(&["--help"]);
    let text = help.ended_quietly(0);
    for option in options {
        assert!(text.contains(option), "{option} is not in\n{text}");
    }
}

/// Checks that a program rejects each of these arguments as clap does, with this message and before it prints
/// anything.
///
/// # Panics
/// If it does not.
///
/// # Examples
///
/// ```
/// use std::process::Command;
/// use lab::program::{assert_refuses, ran};
///
/// let picky = |_: &[&str]| ran(Command::new("sh").args(["-c", "echo '1 to 9' >&2; exit 2"]));
/// assert_refuses(picky, &[(&["--size", "0"], "1 to 9")]);
/// ```
pub fn assert_refuses(call: impl Fn(&[&str]) -> Ran, all: &[(&[&str], &str)]) {
    for (arguments, told) in all {
        let ran = call(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(told), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{arguments:?}");
    }
}
