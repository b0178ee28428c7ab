//! A real broker that refuses by its ACLs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::OnceLock;

use super::broker::Broker;

/// The tests' own. What has no ACL is everybody's; what has one is only what its ACLs allow.
pub fn broker() -> &'static Broker {
    static STARTED: OnceLock<Result<Broker, String>> = OnceLock::new();
    let arguments = [
        "--set",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "--set",
        "allow.everyone.if.no.acl.found=true",
    ];
    match STARTED.get_or_init(|| Broker::start("acls", &arguments)) {
        Ok(started) => started,
        Err(error) => panic!("{error}"),
    }
}

/// What an ACL is about, by Kafka's numbers.
#[derive(Clone, Copy)]
pub enum Of<'a> {
    Topic(&'a str),
    Group(&'a str),
    TransactionalId(&'a str),
}

pub const READ: i8 = 3;
pub const WRITE: i8 = 4;
pub const DESCRIBE: i8 = 8;
/// Implies nothing else: who may only do that may not even see that it is there.
pub const DESCRIBE_CONFIGS: i8 = 10;

/// Allows everybody, which are all anonymous here.
pub fn allow(of: Of<'_>, operation: i8) {
    change(30, of, operation);
}

/// Takes that back.
pub fn disallow(of: Of<'_>, operation: i8) {
    change(31, of, operation);
}

/// CreateAcls or DeleteAcls, version 1, which have the same fields in the same order: one of them.
fn change(request: i16, of: Of<'_>, operation: i8) {
    let text = |to: &mut Vec<u8>, text: &str| {
        to.extend(i16::try_from(text.len()).unwrap().to_be_bytes());
        to.extend(text.as_bytes());
    };
    let mut body = Vec::new();
    body.extend(request.to_be_bytes());
    body.extend([0, 1]); // version
    body.extend(1_i32.to_be_bytes());
    body.extend((-1_i16).to_be_bytes()); // no client id
    body.extend(1_i32.to_be_bytes());
    let (kind, name) = match of {
        Of::Topic(name) => (2, name),
        Of::Group(name) => (3, name),
        Of::TransactionalId(name) => (5, name),
    };
    body.push(kind);
    text(&mut body, name);
    body.push(3); // this very name
    text(&mut body, "User:ANONYMOUS");
    text(&mut body, "*");
    body.extend([operation.to_be_bytes()[0], 3]); // allowed
    let mut stream = TcpStream::connect(&broker().servers).unwrap();
    stream
        .write_all(&i32::try_from(body.len()).unwrap().to_be_bytes())
        .unwrap();
    stream.write_all(&body).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut answer).unwrap();
    // Correlation id, throttle time, one result: its error.
    assert_eq!(answer[8..14], [0, 0, 0, 1, 0, 0], "{answer:?}");
}
