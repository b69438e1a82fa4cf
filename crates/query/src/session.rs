//! A DataFusion session over one snapshot of a lake, and the answers it gives.
//!
//! Guarantees: only queries run; the tables are those of the snapshot and do not change while the session lives; what a
//! user types as a filter reaches the SQL as a typed value. Left to others: which files there are (`keytrail_lake`),
//! the inside of Parquet (DataFusion), how an answer looks ([`Printer`]).

use std::{path::Path, sync::Arc};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, SchemaRef},
};
use datafusion::{
    common::{ParamValues, ScalarValue, config::Dialect},
    error::DataFusionError,
    execution::{
        SessionStateBuilder,
        context::{SQLOptions, SessionContext},
        memory_pool::FairSpillPool,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    logical_expr::LogicalPlan,
    physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream},
    prelude::SessionConfig,
    sql::parser::Statement,
};
use futures::StreamExt;
use keytrail_event::Timestamp;
use keytrail_lake::Snapshot;

use crate::{Audit, Filter, Printer, QueryError, keys, provider, tables};

/// Bytes that parsed Parquet footers may take. A footer of 60 columns and 8 row groups is about 200 KiB parsed, so this
/// holds some thousand files.
const FOOTER_CACHE_BYTES: usize = 256 << 20;

/// What the machine gives to a session.
#[derive(Clone, Copy, Debug)]
pub struct SessionOptions {
    /// Threads a query may keep busy; at least 1.
    pub threads: usize,
    /// Memory for sorting and grouping, in bytes; beyond it they spill to temporary files. `None`: no limit.
    pub memory_bytes_max: Option<usize>,
}

/// Answers questions over one snapshot of a lake.
pub struct Session {
    context: SessionContext,
    snapshot: Snapshot,
}

/// What an audit is asked about. A filter that is `None` lets everything through.
#[derive(Clone, Debug, Default)]
pub struct AuditFilters {
    /// A key id, a key ARN, an alias name (`alias/x`) or an alias ARN.
    pub key: Option<String>,
    /// An ARN, a user or role name, a principal id or an access key id.
    pub principal: Option<String>,
    /// First instant that counts.
    pub since: Option<Timestamp>,
    /// First instant that no longer counts.
    pub until: Option<Timestamp>,
}

/// A running query: its columns, and its rows as they come.
pub struct Answer {
    stream: SendableRecordBatchStream,
    plan: Arc<dyn ExecutionPlan>,
}

impl Session {
    /// Opens the lake in `dir` as it is now. Later ingests do not show; open again to see them.
    pub async fn open(dir: &Path, options: SessionOptions) -> Result<Session, QueryError> {
        let lake = |source| QueryError::Lake { path: dir.to_owned(), source };
        Session::over(Snapshot::read(dir).map_err(lake)?, options).await
    }

    /// A session over a snapshot that the caller holds already.
    pub async fn over(snapshot: Snapshot, options: SessionOptions) -> Result<Session, QueryError> {
        let state = SessionStateBuilder::new()
            .with_config(config(options))
            .with_runtime_env(runtime(options)?)
            .with_default_features()
            .build();
        let mut context = SessionContext::new_with_state(state);
        datafusion_functions_json::register_all(&mut context).map_err(execution)?;
        tables::register(&context, &snapshot).await?;
        Ok(Session { context, snapshot })
    }

    /// What the session answers from.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Runs one SQL query. Anything that is not a query is refused before it is planned.
    pub async fn sql(&self, sql: &str) -> Result<Answer, QueryError> {
        self.run(sql, ParamValues::Map([].into())).await
    }

    /// Runs an audit.
    pub async fn audit(&self, audit: &Audit, filters: &AuditFilters) -> Result<Answer, QueryError> {
        filters.check(audit)?;
        let keys = match &filters.key {
            Some(key) => Some(self.resolve_key(key).await?),
            None => None,
        };
        self.run(&audit.sql, filters.parameters(audit, keys.as_deref())).await
    }

    /// The ARNs of all keys that `key` (id, ARN, alias name or alias ARN) means in this lake, sorted. An ARN of a key
    /// means itself even if the lake has never seen it; for the others at least one event must name the key.
    pub async fn resolve_key(&self, key: &str) -> Result<Vec<String>, QueryError> {
        keys::resolve(self, key).await
    }

    pub(crate) async fn run(
        &self,
        sql: &str,
        parameters: ParamValues,
    ) -> Result<Answer, QueryError> {
        let state = self.context.state();
        let statement = state.sql_to_statement(sql, &dialect()).map_err(planning)?;
        refuse_all_but_queries(&statement)?;
        let plan = state.statement_to_plan(statement).await.map_err(planning)?;
        // Second line of defence: a statement that hides inside another one (`EXPLAIN ANALYZE INSERT …`).
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(planning)?;
        let plan = bind(plan, parameters)?;
        let plan = state.create_physical_plan(&plan).await.map_err(planning)?;
        let stream =
            execute_stream(Arc::clone(&plan), self.context.task_ctx()).map_err(execution)?;
        Ok(Answer { stream, plan })
    }
}

impl Answer {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// The next rows; `None` when all have been given out.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        self.stream.next().await.map(|batch| batch.map_err(execution))
    }

    /// All rows, for answers known to be small.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }

    /// Hands every row to `printer` as it comes, and tells how many there were.
    pub async fn print<W: std::io::Write>(
        mut self,
        mut printer: Printer<W>,
    ) -> Result<u64, QueryError> {
        while let Some(batch) = self.next().await {
            printer.write(&batch?)?;
        }
        printer.finish()
    }

    /// The physical plan, whose metrics fill while the answer is read.
    pub fn plan(&self) -> &Arc<dyn ExecutionPlan> {
        &self.plan
    }
}

impl AuditFilters {
    fn given(&self, filter: Filter) -> bool {
        match filter {
            Filter::Key => self.key.is_some(),
            Filter::Principal => self.principal.is_some(),
            Filter::Since => self.since.is_some(),
            Filter::Until => self.until.is_some(),
        }
    }

    /// A filter that the audit would ignore is an error: its answer would look filtered.
    fn check(&self, audit: &Audit) -> Result<(), QueryError> {
        let unused = Filter::ALL
            .into_iter()
            .find(|filter| self.given(*filter) && !audit.filters.contains(filter));
        let Some(filter) = unused else { return Ok(()) };
        let taken: Vec<&str> = audit.filters.iter().map(|filter| filter.name()).collect();
        Err(QueryError::UnusedFilter {
            audit: audit.name.clone(),
            filter: filter.name(),
            taken: taken.join(", "),
        })
    }

    fn parameters(&self, audit: &Audit, keys: Option<&[String]>) -> ParamValues {
        let instant = |time: Option<Timestamp>| {
            ScalarValue::TimestampMicrosecond(time.map(Timestamp::unix_micros), Some("UTC".into()))
        };
        let value = |filter: &Filter| match filter {
            Filter::Key => key_list(keys),
            Filter::Principal => ScalarValue::Utf8View(self.principal.clone()),
            Filter::Since => instant(self.since),
            Filter::Until => instant(self.until),
        };
        let named =
            audit.filters.iter().map(|filter| (filter.name().to_owned(), value(filter).into()));
        ParamValues::Map(named.collect())
    }
}

fn key_list(keys: Option<&[String]>) -> ScalarValue {
    let Some(keys) = keys else {
        return ScalarValue::new_null_list(DataType::Utf8View, true, 1);
    };
    let keys: Vec<ScalarValue> =
        keys.iter().map(|key| ScalarValue::Utf8View(Some(key.clone()))).collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&keys, &DataType::Utf8View))
}

fn bind(plan: LogicalPlan, parameters: ParamValues) -> Result<LogicalPlan, QueryError> {
    match &parameters {
        ParamValues::Map(values) if values.is_empty() => Ok(plan),
        _ => plan.with_param_values(parameters).map_err(planning),
    }
}

/// `PostgreSQL`, because only there `?` is an operator (`resources ? 'ARN'`) and not a placeholder.
fn dialect() -> Dialect {
    Dialect::PostgreSQL
}

fn config(options: SessionOptions) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(options.threads.max(1))
        // `SHOW TABLES`, `SHOW COLUMNS FROM events`: how one finds out what there is.
        .with_information_schema(true)
        // A session never writes, and the snapshot brings its own statistics: no footer is read before it is needed.
        .with_collect_statistics(false);
    let all = config.options_mut();
    all.sql_parser.dialect = dialect();
    let parquet = &mut all.execution.parquet;
    // Audits pick few rows by key, time and name: decode these columns first and the wide JSON text of matching rows only.
    parquet.pushdown_filters = true;
    parquet.reorder_filters = true;
    // On by default, and what makes a lookup by event id fast: said here so that a new default does not change it.
    parquet.pruning = true;
    parquet.enable_page_index = true;
    parquet.bloom_filter_on_read = true;
    parquet.max_in_list_size = provider::IN_LIST_MAX;
    config
}

fn runtime(options: SessionOptions) -> Result<Arc<RuntimeEnv>, QueryError> {
    let mut runtime = RuntimeEnvBuilder::new()
        .with_metadata_cache_limit(FOOTER_CACHE_BYTES)
        // Tables come from a snapshot; a cached directory listing could only be stale.
        .with_object_list_cache_limit(0);
    if let Some(bytes) = options.memory_bytes_max {
        runtime = runtime.with_memory_pool(Arc::new(FairSpillPool::new(bytes)));
    }
    runtime.build_arc().map_err(execution)
}

fn refuse_all_but_queries(statement: &Statement) -> Result<(), QueryError> {
    use datafusion::sql::sqlparser::ast::Statement as Sql;
    let refused = match statement {
        Statement::Explain(explain) => return refuse_all_but_queries(&explain.statement),
        Statement::Statement(sql) => match sql.as_ref() {
            Sql::Query(_)
            | Sql::Explain { .. }
            | Sql::ExplainTable { .. }
            | Sql::ShowTables { .. }
            | Sql::ShowColumns { .. }
            | Sql::ShowFunctions { .. } => return Ok(()),
            other => other.to_string(),
        },
        Statement::CopyTo(_) => "COPY".to_owned(),
        Statement::CreateExternalTable(_) => "CREATE".to_owned(),
        Statement::Reset(_) => "RESET".to_owned(),
    };
    let word = refused.split_whitespace().next().unwrap_or("an empty statement");
    Err(QueryError::NotAQuery { statement: word.to_uppercase() })
}

pub(crate) fn planning(error: DataFusionError) -> QueryError {
    QueryError::Sql(Box::new(error))
}

pub(crate) fn execution(error: DataFusionError) -> QueryError {
    QueryError::Execution(Box::new(error))
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use keytrail_lake::Snapshot;

    use super::{AuditFilters, Session, SessionOptions};
    use crate::{Audit, Filter, Format, Printer, QueryError, Severity, Style};

    /// A session over a lake without any file.
    async fn empty() -> Session {
        let snapshot = Snapshot {
            events: "events".into(),
            origin: "example.org/catalog".to_owned(),
            catalog_size: 1,
            version: None,
            files: Vec::new(),
            receipts: Vec::new(),
        };
        let options = SessionOptions { threads: 2, memory_bytes_max: Some(64 << 20) };
        Session::over(snapshot, options).await.expect("a session")
    }

    async fn csv(session: &Session, sql: &str) -> String {
        let answer = session.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let mut out = Vec::new();
        let printer = Printer::new(&mut out, &answer.schema(), Style::plain(Format::Csv));
        answer.print(printer).await.expect("an answer");
        String::from_utf8(out).expect("UTF-8")
    }

    async fn refusal(session: &Session, sql: &str) -> QueryError {
        match session.sql(sql).await {
            Ok(_) => panic!("must be refused: {sql}"),
            Err(error) => error,
        }
    }

    #[tokio::test]
    async fn whatever_is_no_query_is_refused_by_name() {
        let session = empty().await;
        let cases = [
            ("CREATE TABLE t AS SELECT 1", "CREATE"),
            ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE"),
            ("CREATE VIEW v AS SELECT 1", "CREATE"),
            ("DROP TABLE records", "DROP"),
            ("INSERT INTO sources SELECT * FROM sources", "INSERT"),
            ("DELETE FROM records", "DELETE"),
            ("UPDATE sources SET size = 0", "UPDATE"),
            ("COPY records TO '/tmp/stolen.csv'", "COPY"),
            ("SET datafusion.execution.batch_size = 1", "SET"),
            ("EXPLAIN COPY records TO '/tmp/stolen.csv'", "COPY"),
            ("EXPLAIN ANALYZE COPY records TO '/tmp/stolen.csv'", "COPY"),
            ("PREPARE p AS SELECT 1", "PREPARE"),
            ("START TRANSACTION", "START"),
        ];
        for (sql, word) in cases {
            match refusal(&session, sql).await {
                QueryError::NotAQuery { statement } => assert_eq!(statement, word, "{sql}"),
                other => panic!("{sql}: {other:?}"),
            }
        }
        // Hidden one level down, where only the plan shows it.
        let hidden =
            refusal(&session, "EXPLAIN ANALYZE INSERT INTO sources SELECT * FROM sources").await;
        assert!(matches!(hidden, QueryError::Sql(_) | QueryError::NotAQuery { .. }), "{hidden}");
    }

    #[tokio::test]
    async fn files_outside_the_lake_cannot_be_named_as_tables() {
        let session = empty().await;
        let error = refusal(&session, "SELECT * FROM '/etc/passwd'").await;
        assert!(matches!(error, QueryError::Sql(_)), "{error}");
    }

    #[tokio::test]
    async fn an_error_in_sql_is_one_line() {
        let session = empty().await;
        let error = refusal(&session, "SELECT colour FROM events").await.to_string();
        assert!(error.starts_with("the SQL cannot be run: "), "{error}");
        assert!(error.contains("colour") && !error.contains('\n'), "{error}");
        assert!(
            refusal(&session, "SELECT 1; SELECT 2")
                .await
                .to_string()
                .contains("single SQL statement")
        );
    }

    #[tokio::test]
    async fn an_empty_lake_answers_with_no_rows() {
        let session = empty().await;
        assert_eq!(csv(&session, "SELECT count(*) AS n FROM events").await, "n\n0\n");
        assert_eq!(
            csv(&session, "SELECT max(event_time) AS newest FROM records").await,
            "newest\n\n"
        );
        for audit in Audit::built_in().expect("valid") {
            let answer = session.audit(&audit, &AuditFilters::default()).await.expect(&audit.name);
            assert_eq!(
                answer
                    .collect()
                    .await
                    .expect("no rows")
                    .iter()
                    .map(RecordBatch::num_rows)
                    .sum::<usize>(),
                0
            );
        }
        let filters =
            AuditFilters { key: Some("alias/nope".to_owned()), ..AuditFilters::default() };
        let unknown = session.audit(&Audit::named("who-used").expect("known"), &filters).await;
        assert!(matches!(unknown.map(|_| ()), Err(QueryError::UnknownKey { .. })));
    }

    #[tokio::test]
    async fn tables_and_columns_can_be_listed() {
        let session = empty().await;
        let tables = csv(
            &session,
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name",
        )
        .await;
        assert_eq!(tables, "table_name\nevents\nkey_events\nrecords\nsources\n");
        assert!(csv(&session, "DESCRIBE events").await.contains("\nevent_time,"));
        assert!(csv(&session, "SHOW COLUMNS FROM sources").await.contains("sha256"));
        assert!(csv(&session, "EXPLAIN SELECT * FROM key_events").await.contains("logical_plan"));
    }

    #[tokio::test]
    async fn json_functions_and_operators_work_on_text() {
        let session = empty().await;
        let sql = "SELECT j->>'a' AS text, j->'b'->0 AS first, j ? 'c' AS has, json_get_int(j, 'n') AS n \
                   FROM (SELECT '{\"a\":\"x,y\",\"b\":[7],\"n\":3}' AS j)";
        assert_eq!(csv(&session, sql).await, "text,first,has,n\n\"x,y\",7,false,3\n");
    }

    /// `schemas/audit-file.md` is held to the parser and the tables by running what it shows.
    #[tokio::test]
    async fn the_drawn_audit_file_can_be_run() {
        let drawn = include_str!("../../../schemas/audit-file.md");
        let file = drawn.split("```").nth(1).and_then(|block| block.strip_prefix("sql\n"));
        let audit = Audit::parse("audit-file.md", file.expect("an example")).expect("valid");
        assert_eq!(audit.tags, ["CIS-1.7"]);
        for severity in Severity::ALL {
            assert!(drawn.contains(&format!("`{}`", severity.name())), "{severity:?} is not drawn");
        }
        for filter in Filter::ALL {
            assert!(
                drawn.contains(&format!("| `${}` |", filter.name())),
                "{filter:?} is not drawn"
            );
        }
        let answer = empty().await.audit(&audit, &AuditFilters::default()).await.expect("runs");
        let columns: Vec<_> =
            answer.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(columns, ["key", "operation", "uses", "last_use"]);
    }

    #[tokio::test]
    async fn a_filter_that_an_audit_does_not_take_is_an_error() {
        let session = empty().await;
        let text = "-- audit: t\n-- title: T\n-- severity: info\n-- filters: since\nSELECT 1 WHERE $since IS NULL";
        let audit = Audit::parse("t.sql", text).expect("valid");
        let filters =
            AuditFilters { principal: Some("alice".to_owned()), ..AuditFilters::default() };
        let error = session.audit(&audit, &filters).await.map(|_| ()).expect_err("refused");
        assert_eq!(error.to_string(), "audit t takes no principal filter; it takes: since");
    }
}
