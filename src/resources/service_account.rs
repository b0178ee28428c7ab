//! The pods' identity. It has no rights, and no token is mounted.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::labels::child_meta;
use crate::fleet::Fleet;

pub(super) fn service_account(fleet: &Fleet) -> ServiceAccount {
    ServiceAccount {
        metadata: child_meta(fleet),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
