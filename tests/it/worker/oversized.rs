//! Keys and headers that are more than the handler's server takes.

use axum::body::Bytes;
use axum::http::{Request, Version};
use drover::worker_config::{Handler, HttpFormat, HttpProtocol};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rdkafka::producer::BaseRecord;
use serde_json::{Value, json};

use super::kafka::{Kafka, headers};
use super::web::{Seen, Web, ok};
use super::workers::{TOPIC, Worker, config};

const PROTOCOLS: [(HttpProtocol, Version); 2] = [
    (HttpProtocol::Http1, Version::HTTP_11),
    (HttpProtocol::H2c, Version::HTTP_2),
];

/// What the server answers to a request with so many bytes in a header.
fn status_of_a_head_with(bytes: usize, web: &Web, version: Version) -> u16 {
    let request = Request::post(web.url())
        .header("host", "localhost")
        .header("large", "x".repeat(bytes))
        .body(Empty::<Bytes>::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let stream = tokio::net::TcpStream::connect(web.address).await.unwrap();
        let stream = TokioIo::new(stream);
        let request = request.unwrap();
        let answer = match version {
            Version::HTTP_2 => {
                let (mut sender, work) = http2::handshake(TokioExecutor::new(), stream)
                    .await
                    .unwrap();
                let _work = tokio::spawn(work);
                sender.send_request(request).await
            }
            _ => {
                let (mut sender, work) = http1::handshake(stream).await.unwrap();
                let _work = tokio::spawn(work);
                sender.send_request(request).await
            }
        };
        answer.unwrap().status().as_u16()
    })
}

/// What the handler sees of a record with 20 KiB of headers and one with hardly any, in this order.
fn two_records(format: HttpFormat, (protocol, version): (HttpProtocol, Version)) -> [Seen; 2] {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let value = vec![b'x'; 1024];
    let names: Vec<_> = (0..20).map(|number| format!("h{number}")).collect();
    let large: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), Some(value.as_slice())))
        .collect();
    let few = [("note", Some(&b"x"[..]))];
    for pairs in [&large[..], &few] {
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(TOPIC).partition(0);
        let record = record.key(&b"key"[..]).payload(&b"\xff"[..]);
        kafka.send(record.headers(headers(pairs)));
    }
    kafka.flush();
    let web = Web::start_with_small_heads(version, |_| ok());
    assert_eq!(status_of_a_head_with(100, &web, version), 200);
    assert_eq!(status_of_a_head_with(20 << 10, &web, version), 431);
    let mut config = config(&kafka, &web);
    let Handler::Http(handler) = &mut config.handler else {
        panic!("an HTTP handler");
    };
    handler.format = format;
    handler.protocol = protocol;
    let _worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 2);
    let mut seen = web.seen();
    // That which was asked above.
    seen.retain(|request| request.header("drover-offset").is_some());
    seen.sort_by_key(|request| request.number("drover-offset"));
    for (offset, request) in seen.iter().enumerate() {
        let key = format!("{TOPIC}/0/{offset}");
        assert_eq!(request.header("idempotency-key"), Some(&*key));
        assert_eq!(request.header("drover-attempt"), Some("1"));
        assert_eq!(request.version, version);
    }
    seen.try_into().unwrap()
}

#[test]
fn a_record_with_20_kib_of_headers_is_a_document_for_a_server_that_takes_8() {
    for protocol in PROTOCOLS {
        let [large, small] = two_records(HttpFormat::Plain, protocol);
        assert_eq!(large.header("drover-in-body"), Some("true"));
        assert_eq!(large.header("drover-batch"), Some("1"));
        assert_eq!(large.header("content-type"), Some("application/json"));
        let document: Value = serde_json::from_slice(&large.body).unwrap();
        let record = &document["records"][0];
        assert_eq!(record["key"], "key");
        assert_eq!(record["value"], json!({ "base64": "/w==" }));
        let headers = record["headers"].as_array().unwrap();
        assert_eq!(headers.len(), 20);
        assert_eq!(headers[19], json!(["h19", "x".repeat(1024)]));
        // The others are as ever.
        assert_eq!(small.header("drover-in-body"), None);
        assert_eq!(small.header("drover-batch"), None);
        assert_eq!(small.body, b"\xff");
        assert_eq!(small.header("drover-header-note"), Some("x"));
    }
}

#[test]
fn an_event_with_20_kib_of_headers_is_whole_for_a_server_that_takes_8() {
    for protocol in PROTOCOLS {
        for format in [HttpFormat::CloudEvents, HttpFormat::CloudEventsStructured] {
            let [large, small] = two_records(format, protocol);
            let content_type = large.header("content-type").unwrap();
            assert!(content_type.starts_with("application/cloudevents+json"));
            // What was no event is whole in structured mode, however small.
            let binary = matches!(format, HttpFormat::CloudEvents);
            assert_eq!(large.header("drover-in-body").is_some(), binary);
            assert_eq!(large.header("drover-batch"), None);
            let event: Value = serde_json::from_slice(&large.body).unwrap();
            assert_eq!(event["id"], "orders/0/0");
            assert_eq!(event["data_base64"], "/w==");
            assert_eq!(event["partitionkey"], "key");
            let headers = event["kafkaheaders"].as_str().unwrap();
            let headers: Vec<Value> = serde_json::from_str(headers).unwrap();
            assert_eq!(headers.len(), 20);
            assert_eq!(small.header("ce-id").is_some(), binary);
        }
    }
}
