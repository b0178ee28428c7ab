//! What examples/rails promises and a cluster does not show: its own classes with a Kafka that `tests/rails/promises.rb` plays.

use std::path::Path;
use std::process::Command;

#[test]
fn the_rails_example_keeps_what_it_promises() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rails/promises.rb");
    let Ok(output) = Command::new("ruby").arg(script).output() else {
        let all = std::env::var("DROVER_TEST_ALL").unwrap_or_default();
        assert!(["", "0"].contains(&all.as_str()), "there is no ruby");
        eprintln!("NOT RUN: there is no ruby");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let kept = String::from_utf8_lossy(&output.stdout);
    assert_eq!(kept.lines().count(), 7, "{kept}{said}");
}
