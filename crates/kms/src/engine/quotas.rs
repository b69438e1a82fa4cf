//! Quotas, and what is counted of them: the encryptions with each material.
//!
//! A worn material still encrypts: refusing would stop a service for a limit that is far below any danger. Somebody is told
//! instead, by the log and the metrics of `server`, and rotates the key.

use super::Engine;
use crate::EngineError;
use crate::material::MaterialId;
use crate::state::{Key, KeyMaterial};

/// How much of something there may be. Unlike [`Config`](super::Config) this is no part of the data directory, and may be
/// another at each opening: [`Engine::with_quotas`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Rotations on demand that a key may have; the next one is refused. AWS's quota is the default, 25.
    pub on_demand_rotations: usize,
    /// Messages that a material may have encrypted before it counts as worn. The default is 2⁴⁷: each message has a key of
    /// its own, made with 128 random bits, and after twice as many the probability that two of these were alike is 2⁻³³.
    pub material_encryptions: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { on_demand_rotations: 25, material_encryptions: 1 << 47 }
    }
}

/// How much a material of a symmetric key was used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MaterialUses {
    /// The key.
    pub key_arn: String,
    /// `KeyMaterialId` of the API.
    pub key_material_id: String,
    /// Messages that it encrypted: plaintexts, data keys, private keys of data key pairs.
    pub encryptions: u64,
}

impl Engine {
    /// The same engine under other quotas.
    #[must_use]
    pub fn with_quotas(mut self, quotas: Quotas) -> Self {
        self.uses.judge_by(quotas.material_encryptions);
        self.quotas = quotas;
        self
    }

    /// What the materials of a key, given by its ARN, encrypted: oldest first. Empty if there is no such key. Counted from
    /// the records of the ledger, so a crash loses none.
    pub fn material_uses(&self, key_arn: &str) -> Result<Vec<MaterialUses>, EngineError> {
        let state = self.read_state()?;
        let key = state.keys.get(key_arn).filter(|key| key.is_symmetric());
        let counted = |key: &Key| {
            let ids = key.materials.iter().map(KeyMaterial::id);
            ids.map(|id| uses(key, id, self.uses.encryptions_with(id))).collect()
        };
        Ok(key.map(counted).unwrap_or_default())
    }

    /// The materials that have reached [`Quotas::material_encryptions`]. Looks through all keys.
    pub fn worn_materials(&self) -> Result<Vec<MaterialUses>, EngineError> {
        let state = self.read_state()?;
        let worn = self.uses.all_worn();
        let mut found = Vec::new();
        for key in state.keys.values() {
            let ids = key.materials.iter().map(KeyMaterial::id);
            found.extend(ids.filter_map(|id| Some(uses(key, id, *worn.get(&id)?))));
        }
        Ok(found)
    }

    /// How many materials there are of that sort. A moment's look, for every call.
    pub fn worn_material_count(&self) -> u64 {
        self.uses.worn()
    }

    /// Encryptions with the material that encrypted most.
    pub fn material_encryptions_max(&self) -> u64 {
        self.uses.encryptions_max()
    }
}

fn uses(key: &Key, id: MaterialId, encryptions: u64) -> MaterialUses {
    MaterialUses { key_arn: key.arn.to_string(), key_material_id: id.to_string(), encryptions }
}
