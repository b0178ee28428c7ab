//! What is to be encrypted or decrypted: arguments, standard input, or its lines.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

/// Where texts come from.
#[derive(Args, Clone, Debug)]
pub(super) struct TextArgs {
    /// One text each; without any, standard input is one text
    #[arg(value_name = "TEXT", conflicts_with = "lines")]
    texts: Vec<String>,
    /// Each line of standard input is a text of its own
    #[arg(long)]
    lines: bool,
}

/// One text, and whether it stands in a line of its own.
struct Text {
    bytes: Vec<u8>,
    in_a_line: bool,
}

impl Text {
    /// What may be meant instead, of a text that makes no sense.
    fn hint(&self) -> String {
        let lines = self.bytes.trim_ascii_end().split(|byte| *byte == b'\n');
        match lines.count() {
            lines if lines < 2 || self.in_a_line => String::new(),
            lines => format!("; it has {lines} lines: with --lines, each is a text of its own"),
        }
    }
}

impl TextArgs {
    fn read(&self) -> anyhow::Result<Vec<Text>> {
        let line = |bytes: &[u8]| Text {
            bytes: bytes.to_vec(),
            in_a_line: true,
        };
        if !self.texts.is_empty() {
            let texts = self.texts.iter();
            return Ok(texts.map(|text| line(text.as_bytes())).collect());
        }
        let input = standard_input()?;
        if self.lines {
            let whole = input.strip_suffix(b"\n").unwrap_or(&input);
            let lines = whole.split(|byte| *byte == b'\n');
            return Ok(if input.is_empty() {
                Vec::new()
            } else {
                lines.map(line).collect()
            });
        }
        Ok(vec![Text {
            bytes: input,
            in_a_line: false,
        }])
    }

    /// Writes what `made` makes of each text; with `always_lines` each is followed by a line break,
    /// else only those that came as lines. Goes on after a text that fails, and ends with 1 then.
    pub fn each(
        &self,
        always_lines: bool,
        made: impl Fn(&[u8]) -> Result<Vec<u8>, String>,
    ) -> anyhow::Result<ExitCode> {
        let mut code = ExitCode::SUCCESS;
        let mut out = io::stdout().lock();
        for (index, text) in self.read()?.iter().enumerate() {
            let mut bytes = match made(&text.bytes) {
                Ok(bytes) => bytes,
                Err(why) => {
                    eprintln!("drover: text {}: {why}{}", index + 1, text.hint());
                    code = ExitCode::FAILURE;
                    continue;
                }
            };
            if always_lines || text.in_a_line {
                bytes.push(b'\n');
            }
            match out.write_all(&bytes).and_then(|()| out.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(code),
                written => written.context("write to standard output")?,
            }
        }
        Ok(code)
    }
}

/// All of it.
fn standard_input() -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin()
        .read_to_end(&mut bytes)
        .context("read standard input")?;
    Ok(bytes)
}
