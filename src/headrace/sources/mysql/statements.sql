-- What the MySQL source asks the source's server, in ordinary sessions. `%s` and `{}` are filled in by the code.

-- name: variables
-- What decides whether and how the binary log can be read.
SHOW GLOBAL VARIABLES WHERE Variable_name IN (
  'version', 'log_bin', 'log_bin_basename', 'binlog_format', 'binlog_row_image', 'binlog_row_metadata',
  'binlog_row_value_options', 'binlog_transaction_compression', 'server_id', 'server_uuid', 'server_uid',
  'log_slave_updates', 'log_replica_updates', 'binlog_expire_logs_seconds')

-- name: head
-- The file and offset at which the log ends (MariaDB, and MySQL before 8.4).
SHOW MASTER STATUS

-- name: head_84
-- The same since MySQL 8.4.
SHOW BINARY LOG STATUS

-- name: logs
-- The files that the server still has.
SHOW BINARY LOGS

-- name: collations
-- The character set of each collation by its id.
SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATIONS WHERE ID IS NOT NULL

-- name: collations_mariadb
-- The same where one collation has an id for each of several character sets (MariaDB 10.10).
SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE ID IS NOT NULL

-- name: single_byte
-- The character sets of one byte a character.
SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS
WHERE MAXLEN = 1 AND CHARACTER_SET_NAME NOT IN ('binary', 'ascii')

-- name: characters
-- All 256 bytes as the server reads them in one character set ({}).
SELECT HEX(CONVERT(CONVERT(UNHEX(%s) USING {}) USING utf32))

-- name: tables
-- Every table that this user can see, with what capturing it depends on.
SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.TABLE_TYPE, t.ENGINE, COALESCE(t.TABLE_ROWS, 0), COALESCE(e.TRANSACTIONS, 'NO'),
  COALESCE(t.DATA_LENGTH, 0)
FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
WHERE t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')
  AND t.TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')
ORDER BY 1, 2

-- name: columns
-- The columns of the tables of one database in order.
SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, COLUMN_KEY
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s ORDER BY TABLE_NAME, ORDINAL_POSITION

-- name: table
-- One table ({}, {}), as `tables` gives it: the server opens no other for it.
SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.TABLE_TYPE, t.ENGINE, COALESCE(t.TABLE_ROWS, 0), COALESCE(e.TRANSACTIONS, 'NO'),
  COALESCE(t.DATA_LENGTH, 0)
FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
WHERE t.TABLE_SCHEMA = {} AND t.TABLE_NAME = {} AND t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')

-- name: table_columns
-- Its columns, as `columns` gives them.
SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, COLUMN_KEY
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} ORDER BY ORDINAL_POSITION

-- name: key_order
-- The primary key's columns as its index has them, and how much of each, where it is not all.
SELECT COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX

-- name: cascades
-- Tables of one database whose rows the engine changes by a foreign key: such changes are not in the log.
SELECT TABLE_NAME, CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = %s
  AND (DELETE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT') OR UPDATE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT'))

-- name: readable
-- Whether this user may read a table ({}).
SELECT 1 FROM {} LIMIT 0

-- name: replica
-- Whether the server is itself a replica (MariaDB).
SHOW ALL SLAVES STATUS

-- name: replica_mysql
-- The same in MySQL.
SHOW REPLICA STATUS

-- name: prepared
-- Transactions that are prepared and not yet committed.
XA RECOVER

-- name: begin
-- A snapshot of all tables at one point of the log.
START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY

-- name: repeatable
-- Without it a snapshot would not last longer than a statement.
SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ

-- name: snapshot_point
-- The point of the log that belongs to this transaction's snapshot (MariaDB).
SHOW STATUS WHERE Variable_name IN ('Binlog_snapshot_file', 'Binlog_snapshot_position')

-- name: lock_all
-- Nothing commits while it is held (MySQL: a snapshot there does not tell its point).
FLUSH TABLES WITH READ LOCK

-- name: lock_one
-- Ends when no transaction that wrote to the table ({}) is open: whoever comes later waits for `unlock`.
LOCK TABLES {} READ

-- name: lock_briefly
-- Nobody who writes is to wait for us for long.
SET SESSION lock_wait_timeout = 2

-- name: touch
-- The transaction has used the table ({}): DDL on it waits for its end.
SELECT 1 FROM {} LIMIT 1

-- name: rollback
-- Ends a snapshot.
ROLLBACK

-- name: unlock
-- Ends it.
UNLOCK TABLES

-- name: now
-- The server's clock, microseconds since the epoch.
SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)

-- name: encrypted
-- The cipher of this session; empty without TLS.
SHOW SESSION STATUS LIKE 'Ssl_cipher'
