//! The data directory: where everything lies, its configuration, and the ambient clock and randomness that the libraries
//! below are handed from here.
//!
//! ```text
//! DATA/
//!   keytrail.toml   account, Regions, log origin, and where the root key's file is if it is elsewhere
//!   root.key        the root key, or where it comes from (mode 0600)
//!   keys/           sealed keys that are nowhere else: store-key, materials, *.seed; and a snapshot, a view over the ledger
//!   ledger/         segments, checkpoint, public key
//!   tls/            certificate and private key of `serve --tls`
//!   lake/           events/ (a Delta table), catalog/ (its ledger), quarantine/
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use keytrail_event::{AccountId, Region, Timestamp};
use keytrail_kms::{
    Clock as _, Config, Engine, Environment, OsRandom, Quotas, RootKey, RootKeyFile, SystemClock,
};
use keytrail_lake::{Lake, Snapshot};
use keytrail_ledger::{Origin, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::passphrase::{self, Passphrase};
use crate::root_key::Source;

/// The account and Region of a data directory for which nothing else was asked.
pub(crate) const DEFAULT_ACCOUNT: &str = "000000000000";
/// See [`DEFAULT_ACCOUNT`].
pub(crate) const DEFAULT_REGION: &str = "us-east-1";

/// `keytrail.toml`. A key that we do not know is an error: a typing mistake must not silently mean a default.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) account: String,
    /// The Region of a caller who says none.
    pub(crate) region: String,
    /// All Regions; that one may be among them or not. May be left out.
    #[serde(default)]
    pub(crate) regions: Vec<String>,
    pub(crate) origin: String,
    /// See [`Quotas`]; its defaults where nothing is said.
    #[serde(default)]
    pub(crate) on_demand_rotations: Option<usize>,
    #[serde(default)]
    pub(crate) material_encryptions: Option<u64>,
    /// Where the root key's file lies; without it, in the data directory.
    #[serde(default)]
    pub(crate) root_key: Option<PathBuf>,
}

impl Settings {
    /// The settings as the engine wants them, each checked.
    pub(crate) fn engine_config(&self) -> anyhow::Result<Config> {
        let others = self.regions.iter().filter(|region| **region != self.region);
        let regions = std::iter::once(&self.region).chain(others);
        Ok(Config {
            account: AccountId::parse(&self.account)?,
            regions: regions.map(|region| Region::parse(region)).collect::<Result<_, _>>()?,
            origin: Origin::new(&self.origin)?,
        })
    }

    pub(crate) fn quotas(&self) -> Quotas {
        let default = Quotas::default();
        Quotas {
            on_demand_rotations: self.on_demand_rotations.unwrap_or(default.on_demand_rotations),
            material_encryptions: self.material_encryptions.unwrap_or(default.material_encryptions),
        }
    }

    fn to_toml(&self) -> String {
        let Self { account, region, regions, origin, root_key, .. } = self;
        let Quotas { on_demand_rotations, material_encryptions } = self.quotas();
        let root_key = root_key.as_ref().map_or_else(String::new, |file| {
            // JSON's strings are strings of TOML as well.
            let file = serde_json::json!(file.to_string_lossy());
            format!("# The root key, or where it comes from.\nroot_key = {file}\n")
        });
        format!(
            "# Where this data directory belongs. The origin names the log in every signed checkpoint.\n\
             account = \"{account}\"\n\
             # The Region of a caller who says none, and all Regions that keys can be in: there may be more later.\n\
             region = \"{region}\"\nregions = {regions:?}\norigin = \"{origin}\"\n{root_key}\
             # Rotations on demand that a key may have; messages after which somebody is told that a material is worn.\n\
             # on_demand_rotations = {on_demand_rotations}\n# material_encryptions = {material_encryptions}\n"
        )
    }
}

/// A data directory, there or not yet there.
pub(crate) struct DataDirectory {
    root: PathBuf,
    passphrase: Passphrase,
}

impl DataDirectory {
    /// With a passphrase that is asked for if the root key comes from one.
    pub(crate) fn at(root: PathBuf, passphrase: Passphrase) -> Self {
        Self { root, passphrase }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }

    pub(crate) fn lake(&self) -> PathBuf {
        self.root.join("lake")
    }

    fn settings_file(&self) -> PathBuf {
        self.root.join("keytrail.toml")
    }

    /// The root key's file. A path in the settings is as seen from the data directory.
    pub(crate) fn root_key_file(&self) -> anyhow::Result<PathBuf> {
        Ok(self.place_root_key(&self.settings()?))
    }

    fn place_root_key(&self, settings: &Settings) -> PathBuf {
        self.root.join(settings.root_key.as_deref().unwrap_or(Path::new("root.key")))
    }

    pub(crate) fn exists(&self) -> bool {
        self.settings_file().exists()
    }

    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        let file = self.settings_file();
        if !file.exists() {
            bail!(
                "{} is no data directory: make one with `keytrail --data {} init`",
                self.root.display(),
                self.root.display()
            );
        }
        let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
        toml::from_str(&text).with_context(|| format!("{}", file.display()))
    }

    /// Writes the settings and a new root key; the engine and the lake make their own folders.
    pub(crate) fn create(&self, settings: &Settings, source: Source) -> anyhow::Result<RootKey> {
        if self.exists() {
            bail!("{} is a data directory already", self.root.display());
        }
        let root_key = source.new_root_key(&self.passphrase, passphrase::ROOT_KEY)?;
        fs::create_dir_all(&self.root).with_context(|| format!("{}", self.root.display()))?;
        root_key.save(&self.place_root_key(settings))?;
        let file = self.settings_file();
        fs::write(&file, settings.to_toml()).with_context(|| format!("{}", file.display()))?;
        Ok(root_key)
    }

    pub(crate) fn root_key(&self) -> anyhow::Result<RootKey> {
        Ok(match RootKeyFile::load(&self.root_key_file()?)? {
            RootKeyFile::Key(root_key) => root_key,
            RootKeyFile::Passphrase(stretching) => {
                RootKey::from_passphrase(self.passphrase.ask()?, stretching)?
            }
            RootKeyFile::Environment => {
                RootKey::from_digits(&passphrase::digits_in(passphrase::ROOT_KEY)?)?
            }
        })
    }

    pub(crate) fn open_engine(&self) -> anyhow::Result<Engine> {
        let settings = self.settings()?;
        let (config, quotas) = (settings.engine_config()?, settings.quotas());
        let engine = Engine::open(&self.root, config, self.root_key()?, environment())?;
        Ok(engine.with_quotas(quotas))
    }

    /// Opens the lake for writing, and makes it if it is not there.
    pub(crate) fn open_lake(&self) -> anyhow::Result<Lake> {
        let origin = self.settings()?.origin;
        let key = self.catalog_key()?;
        let origin = Origin::new(&format!("{origin}/catalog"))?;
        Ok(Lake::open(&self.lake(), &origin, key, Arc::new(OsRandom), Arc::new(now))?)
    }

    pub(crate) fn catalog_key(&self) -> anyhow::Result<SigningKey> {
        Ok(keytrail_kms::catalog_signing_key(&self.root, &self.root_key()?, &OsRandom)?)
    }

    /// The lake's committed state, for reading; needs no secret.
    pub(crate) fn snapshot(&self) -> anyhow::Result<Snapshot> {
        self.settings()?;
        if !self.lake().exists() {
            bail!(
                "the lake is empty: fill it with `keytrail --data {} ingest [FOLDER]`",
                self.root.display()
            );
        }
        Ok(Snapshot::read(&self.lake())?)
    }
}

/// The public key that lies in a ledger directory. Good against accidents; against people, pass one kept elsewhere.
pub(crate) fn public_key_of(ledger: &Path) -> anyhow::Result<VerifyingKey> {
    let file = ledger.join("public-key");
    let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    VerifyingKey::parse(text.trim_end()).with_context(|| format!("{}", file.display()))
}

/// Regions as people read them, the first one first.
pub(crate) fn join(regions: &[Region]) -> String {
    regions.iter().map(Region::as_str).collect::<Vec<_>>().join(", ")
}

/// The clock and the randomness of the machine: named here once, passed in everywhere else.
pub(crate) fn environment() -> Environment {
    Environment { clock: Arc::new(SystemClock), random: Arc::new(OsRandom) }
}

/// Now, by the machine's clock.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}
