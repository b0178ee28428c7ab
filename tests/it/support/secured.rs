//! A real broker that encrypts and asks who one is, on listeners of its own.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::broker::Broker;
use super::certificates::Certificates;

pub const USER: &str = "drover";
pub const PASSWORD: &str = "swordfish-1";

/// Listeners beside the one in the clear, in the order of their ports.
const LISTENERS: [(&str, &str); 6] = [
    ("TLS", "SSL"),
    ("MUTUAL", "SSL"),
    ("ELSEWHERE", "SSL"),
    ("EXPIRED", "SSL"),
    ("LOGIN", "SASL_SSL"),
    ("TOKEN", "SASL_SSL"),
];

/// The broker, with what one needs to be let in.
pub struct Secured {
    pub broker: Broker,
    pub certificates: Certificates,
}

impl Secured {
    /// `host:port` of a listener.
    pub fn servers(&self, listener: &str) -> String {
        let (host, port) = self.broker.servers.rsplit_once(':').unwrap();
        let port: usize = port.parse().unwrap();
        let index = LISTENERS.iter().position(|(name, _)| *name == listener);
        format!("{host}:{}", port + 19 + index.unwrap())
    }

    /// A file of `certificates`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.certificates.path(name)
    }

    fn start() -> Result<Self, String> {
        let certificates = Certificates::make();
        let mut arguments = Vec::new();
        for (name, protocol) in LISTENERS {
            arguments.extend(["--listener".to_owned(), format!("{name}={protocol}")]);
            let certificate = match name {
                "ELSEWHERE" => "elsewhere.pem",
                "EXPIRED" => "expired.pem",
                _ => "server.pem",
            };
            let of = format!("listener.name.{}", name.to_lowercase());
            let store = certificates.text(certificate);
            arguments.extend(set(&format!("{of}.ssl.keystore.type=PEM")));
            arguments.extend(set(&format!("{of}.ssl.keystore.location={store}")));
        }
        let authority = certificates.text("ca.crt");
        let login = "org.apache.kafka.common.security";
        let plain = format!("{login}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";");
        for setting in [
            "listener.name.mutual.ssl.client.auth=required".to_owned(),
            "listener.name.mutual.ssl.truststore.type=PEM".to_owned(),
            format!("listener.name.mutual.ssl.truststore.location={authority}"),
            "listener.name.login.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
                .to_owned(),
            format!("listener.name.login.plain.sasl.jaas.config={plain}"),
            "listener.name.token.sasl.enabled.mechanisms=OAUTHBEARER".to_owned(),
            // Tokens without a signature; whoever logs in has to do it again before its token expires.
            format!(
                "listener.name.token.oauthbearer.sasl.jaas.config={login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";"
            ),
            format!(
                "listener.name.token.oauthbearer.sasl.server.callback.handler.class={login}.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"
            ),
            "listener.name.token.oauthbearer.connections.max.reauth.ms=3600000".to_owned(),
            format!(
                "listener.name.login.scram-sha-256.sasl.jaas.config={login}.scram.ScramLoginModule required;"
            ),
            format!(
                "listener.name.login.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;"
            ),
        ] {
            arguments.extend(set(&setting));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let broker = Broker::start("secured", &arguments)?;
        let secured = Self {
            broker,
            certificates,
        };
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            secured.set_password(mechanism, USER, PASSWORD)?;
        }
        Ok(secured)
    }

    /// Gives a user, who need not be there yet, a password.
    pub fn set_password(&self, mechanism: &str, user: &str, password: &str) -> Result<(), String> {
        let added = format!("{mechanism}=[iterations=4096,password={password}]");
        let of_user = ["--alter", "--entity-type", "users", "--entity-name", user];
        let change = [
            &["kafka", "configs"],
            &of_user[..],
            &["--add-config", &added],
        ]
        .concat();
        self.broker.tell(&change).map(|_| ())
    }
}

fn set(setting: &str) -> [String; 2] {
    ["--set".to_owned(), setting.to_owned()]
}

/// The tests' own.
pub fn secured() -> &'static Secured {
    static STARTED: OnceLock<Result<Secured, String>> = OnceLock::new();
    match STARTED.get_or_init(Secured::start) {
        Ok(started) => started,
        Err(error) => panic!("{error}"),
    }
}
