//! `--keda`: settings of KEDA as a user would write them into a ScaledObject, to try one's own.

use std::str::FromStr;

use crate::simulation::keda::Tuning;

/// What `--keda` takes: `lag=10,rate=0.7,window=120,down=300`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// As it was written.
    pub text: String,
    /// What it means.
    pub tuning: Tuning,
}

impl FromStr for Settings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut tuning = Tuning::default();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let number = || match value.parse::<f64>() {
                Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
                _ => Err(format!("{name} needs a number, such as {name}=10")),
            };
            match name {
                "lag" => tuning.lag_seconds = Some(number()?),
                "rate" => tuning.rate_share = Some(number()?).filter(|share| *share > 0.0),
                "window" => tuning.rate_window = number()?,
                "down" => tuning.down_window = Some(number()?),
                "up" => tuning.up_window = number()?,
                "even" if value.is_empty() => tuning.even = true,
                _ => {
                    return Err(format!(
                        "{part:?} is none of lag=SECONDS, rate=SHARE, window=SECONDS, down=SECONDS, up=SECONDS and even"
                    ));
                }
            }
        }
        Ok(Self {
            text: text.to_owned(),
            tuning,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_what_is_none_is_named() {
        let settings: Settings = "lag=7,rate=0.6,window=120,down=300,up=30,even"
            .parse()
            .unwrap();
        let expected = Tuning {
            lag_seconds: Some(7.0),
            rate_share: Some(0.6),
            rate_window: 120.0,
            down_window: Some(300.0),
            up_window: 30.0,
            even: true,
            ..Tuning::default()
        };
        assert_eq!(settings.tuning, expected);
        for (wrong, named) in [
            ("lags=7", "lags=7"),
            ("lag=x", "lag"),
            ("even=1", "even"),
            ("", "lag=SECONDS"),
        ] {
            let error = wrong.parse::<Settings>().unwrap_err();
            assert!(error.contains(named), "{wrong}: {error}");
        }
    }
}
