fn main() {
    use kube::CustomResourceExt;
    println!(
        "{}",
        serde_json::to_string_pretty(&drover::api::KafkaConsumer::crd()).unwrap()
    );
}
