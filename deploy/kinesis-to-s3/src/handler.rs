//! Objects to a store, and the answer to the service.

use std::time::SystemTime;

use crate::batch::{Group, Object, groups};
use crate::event::{Event, ItemFailure, Response};
use crate::settings::Settings;
use crate::store::{Store, StoreError};

/// Writes what `event` holds. What could not be written is in the answer, and the service gives it again.
pub async fn handle(event: &Event, settings: &Settings, store: &impl Store, now_utc: SystemTime) -> Response {
    let mut response = Response::default();
    for group in groups(event, settings, now_utc) {
        let Group { first, objects } = group;
        if let Err(error) = write(objects, store).await {
            tracing::error!(from = %first, "not written, to be given again: {error}");
            response.failures.push(ItemFailure { sequence_number: first });
        }
    }
    response
}

async fn write(objects: Vec<Object>, store: &impl Store) -> Result<(), StoreError> {
    for Object { place, body, lines, is_dead_letter } in objects {
        let mut there = false;
        for earlier in &place.earlier {
            there = there || store.has(earlier).await?;
        }
        if there {
            tracing::info!(key = %place.key, "an earlier try has written it");
            continue;
        }
        let bytes = body.len();
        store.put(&place.key, body).await?;
        if is_dead_letter {
            tracing::warn!(key = %place.key, lines, "what could not be read is set aside");
        } else {
            tracing::info!(key = %place.key, lines, bytes, "written");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
