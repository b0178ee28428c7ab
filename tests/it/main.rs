//! Integration tests, one module each.

mod lag;
mod lag_admin;
