//! The one integration test binary; a module per subject.

#![allow(
    clippy::unwrap_used,
    reason = "a test says by panicking what is wrong, in its helpers too"
)]

mod support;

mod architecture;
mod chart;
mod chart_upgrade;
mod cli_convert;
mod cli_decide;
mod cli_dev;
mod cli_dlq;
mod cli_encryption;
mod cli_errors;
mod cli_fleets;
mod cli_kubectl;
mod cli_logs;
mod cli_oauth;
mod cli_produce;
mod cli_record;
mod cli_reset;
mod cli_simulate;
mod cli_status;
mod cli_top;
mod cli_validate;
mod conditions;
mod controller_acls;
mod controller_children;
mod controller_credentials;
mod controller_dead_letters;
mod controller_external;
mod controller_faults;
mod controller_isolation;
mod controller_leadership;
mod controller_many;
mod controller_metrics;
mod controller_moves;
mod controller_namespaces;
mod controller_process;
mod controller_quotas;
mod controller_rest;
mod controller_rights;
mod controller_rollouts;
mod controller_scaling;
mod controller_schedule;
mod controller_security;
mod controller_sharing;
mod controller_skips;
mod controller_status;
mod controller_topics;
mod crds;
mod docs;
mod encryption_spec;
mod engine_speed;
mod events;
mod examples;
mod failure_modes;
mod fleet;
mod fuzz;
mod fuzz_specs;
mod gitops;
mod kafka_tls;
mod lag;
mod lag_admin;
mod lag_broker;
mod lag_together;
mod lease;
mod licences;
mod monitoring;
mod rails_example;
mod readme;
mod replay_job;
mod replay_process;
mod replay_spec;
mod resources;
mod sbom;
mod schema_api_server;
mod self_test;
mod start_laptop;
mod stores;
mod tails;
mod tool_versions;
mod twice;
mod worker;
