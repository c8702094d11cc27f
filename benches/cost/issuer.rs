use std::path::Path;

use portcullis::domain::signing_key::SigningAlgorithm;
use serde_json::{Value, json};

use crate::harness::Result;
use crate::harness::gateway::Gateway;
use crate::signer::Signer;
use crate::stage::Stage;

/// A Portcullis and the key that it signs with.
pub struct Issuer {
    pub signer: Signer,
    pub gateway: Gateway,
}

impl Issuer {
    /// With settings in `further` beside or instead of the usual ones.
    pub fn prepare(
        stage: &Stage,
        folder: &Path,
        algorithm: SigningAlgorithm,
        further: &[(&str, Value)],
    ) -> Result<Self> {
        let signer = Signer::make(algorithm, folder)?;
        // A run takes longer than tokens live by default.
        let tokens = json!({ "access_lifetime": "1h", "signing": signer.setting() });
        let further = [further, &[("tokens", tokens)]].concat();
        let gateway = Gateway::prepare(folder, stage.upstream, &further)?;
        Ok(Self { signer, gateway })
    }
}
