//! Sources to Arrow to Parquet, exactly once; the Delta table and its signed catalog.
