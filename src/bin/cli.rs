fn main() {
    println!(
        "{}",
        serde_json::to_string_pretty(&drover::api::crd()).unwrap_or_default()
    );
}
