//! Moving to another database.

use super::start_error::StartError;
use crate::backends::sql::{self, CopiedTable};
use crate::domain::secret::Secret;

/// Copies all that one database holds into another; see [`sql::copy`].
pub async fn copy_store(from: &Secret<String>, to: &Secret<String>) -> Result<Vec<CopiedTable>, StartError> {
    let source = sql::open_with(from.expose(), false, 2).await?;
    let target = sql::open_with(to.expose(), true, 2).await?;
    let copied = sql::copy(&source, &target).await;
    source.close().await;
    target.close().await;
    Ok(copied?)
}
