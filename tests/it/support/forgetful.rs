//! A proxy in front of the mock of Kafka that leaves the last partition out of each answer to ListOffsets. librdkafka
//! does not survive that.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

const HOST: &[u8] = b"127.0.0.1";
const LIST_OFFSETS: i16 = 2;
/// A partition in an answer of versions 6 and 7: number, error, time, offset, epoch and no tags.
const PARTITION: usize = 4 + 2 + 8 + 8 + 4 + 1;

/// The proxy. Ends with the test's runtime.
pub struct Forgetful {
    pub bootstrap_servers: String,
}

/// The versions of questions about offsets that are not answered yet, by their number.
type Asked = Arc<Mutex<HashMap<i32, i16>>>;

impl Forgetful {
    /// In front of a broker at `server`, which says of itself that it is there.
    pub async fn of(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let server = server.to_owned();
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let Ok(far) = TcpStream::connect(&server).await else {
                    continue;
                };
                let ports = (far.peer_addr().unwrap().port(), own);
                let (asks, told) = near.into_split();
                let (answers, question) = far.into_split();
                let asked = Asked::default();
                tokio::spawn(questions(asks, question, Arc::clone(&asked)));
                tokio::spawn(passed_on(answers, told, asked, ports));
            }
        });
        Self {
            bootstrap_servers: format!("127.0.0.1:{own}"),
        }
    }
}

async fn message(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut message = vec![0; length as usize];
    from.read_exact(&mut message).await?;
    Ok(message)
}

async fn send(to: &mut OwnedWriteHalf, message: &[u8]) -> io::Result<()> {
    to.write_u32(message.len().try_into().unwrap()).await?;
    to.write_all(message).await
}

async fn questions(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    asked: Asked,
) -> io::Result<()> {
    loop {
        let question = message(&mut from).await?;
        let short = |at| i16::from_be_bytes([question[at], question[at + 1]]);
        if short(0) == LIST_OFFSETS {
            let number = number(&question[4..]);
            asked.lock().unwrap().insert(number, short(2));
        }
        send(&mut to, &question).await?;
    }
}

async fn passed_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    asked: Asked,
    ports: (u16, u16),
) -> io::Result<()> {
    loop {
        let mut answer = message(&mut from).await?;
        let version = asked.lock().unwrap().remove(&number(&answer));
        if let Some(version) = version {
            assert!(version >= 6, "the form of version {version} is another");
            forget_one(&mut answer);
        }
        move_broker(&mut answer, ports);
        send(&mut to, &answer).await?;
    }
}

fn number(bytes: &[u8]) -> i32 {
    i32::from_be_bytes(bytes[..4].try_into().unwrap())
}

/// The first topic's last partition, where there is another one.
fn forget_one(answer: &mut Vec<u8>) {
    // Number, no tags, how long to wait, one more than there are topics.
    let name = 4 + 1 + 4 + 1;
    let count = name + usize::from(answer[name]);
    let partitions = usize::from(answer[count]) - 1;
    if partitions > 1 {
        answer[count] -= 1;
        let last = count + 1 + (partitions - 1) * PARTITION;
        answer.drain(last..last + PARTITION);
    }
}

/// Wherever the broker says where it is, it is here.
fn move_broker(answer: &mut [u8], (theirs, own): (u16, u16)) {
    let port = |port: u16| [HOST, &u32::from(port).to_be_bytes()].concat();
    let (theirs, own) = (port(theirs), port(own));
    for at in 0..answer.len().saturating_sub(theirs.len() - 1) {
        if answer[at..].starts_with(&theirs) {
            answer[at..at + own.len()].copy_from_slice(&own);
        }
    }
}
