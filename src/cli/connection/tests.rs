use clap::Parser as _;

use super::*;

#[derive(clap::Parser)]
struct Flags {
    #[command(flatten)]
    connection: ConnectionArgs,
}

fn consumer() -> KafkaConsumer {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer",
        "metadata": { "name": "orders", "namespace": "shop" },
        "spec": { "kafka": { "bootstrapServers": "kafka:9092" }, "topics": ["orders"],
            "handler": { "http": { "url": "http://orders/kafka" } } },
    }))
    .unwrap()
}

#[test]
fn of_many_brokers_that_the_environment_names_are_left_aside() {
    let mut connection = Flags::parse_from(["drover", "--bootstrap", "there:1"]).connection;
    let asked = |connection: &ConnectionArgs| {
        let of = connection
            .of_many()
            .of(Some(consumer()), Security::default());
        of.unwrap().bootstrap
    };
    assert_eq!(asked(&connection), "there:1");
    connection.bootstrap.as_mut().unwrap().from_environment = true;
    assert_eq!(asked(&connection), "kafka:9092");
}

#[test]
fn what_writes_goes_to_other_brokers_only_where_the_command_names_them() {
    let mut args = Flags::parse_from(["drover", "orders", "--bootstrap", "there:1"]).connection;
    let of = |args: &ConnectionArgs| {
        let connection = args.of(Some(consumer()), Security::default()).unwrap();
        (connection.bootstrap.clone(), connection.is_meant())
    };
    assert!(of(&args).1.is_ok());
    args.bootstrap.as_mut().unwrap().from_environment = true;
    let (asked, meant) = of(&args);
    assert_eq!(asked, "there:1");
    let error = meant.unwrap_err().to_string();
    for part in [
        "orders",
        "kafka:9092",
        "DROVER_BOOTSTRAP",
        "--bootstrap there:1",
    ] {
        assert!(error.contains(part), "{error}");
    }
    // The same brokers; and a file, which is for trying things out.
    args.bootstrap.as_mut().unwrap().servers = "kafka:9092".to_owned();
    assert!(of(&args).1.is_ok());
    args.bootstrap.as_mut().unwrap().servers = "there:1".to_owned();
    args.file = Some("orders.yaml".into());
    assert!(of(&args).1.is_ok());
}

#[test]
fn what_to_check_is_called_as_it_was_said() {
    let error = Error::Unreachable("refused".to_owned());
    for (flags, consumer, words) in [
        (
            &[][..],
            Some(consumer()),
            "check the KafkaConsumer's spec.kafka.bootstrapServers kafka:9092 and",
        ),
        (
            &["--bootstrap", "there:1"],
            Some(consumer()),
            "check --bootstrap there:1 and",
        ),
        (
            &["--bootstrap", "there:1"],
            None,
            "check --bootstrap there:1 and",
        ),
    ] {
        let flags = Flags::parse_from([&["drover"], flags].concat());
        let connection = flags.connection.of(consumer, Security::default()).unwrap();
        let says = format!("{:#}", connection.explain("ask", &error));
        assert!(says.contains(words), "{says}");
    }
    let refused = Error::NotAuthorized("group".to_owned().into());
    for (flags, words) in [
        (&[][..], "with the KafkaConsumer's spec.kafka"),
        (&["--property", "client.rack=a"], "with --property"),
    ] {
        let flags = Flags::parse_from([&["drover"], flags].concat());
        let connection = flags.connection.of(Some(consumer()), Security::default());
        let says = format!("{:#}", connection.unwrap().explain("ask", &refused));
        assert!(says.ends_with(words), "{says}");
    }
}
