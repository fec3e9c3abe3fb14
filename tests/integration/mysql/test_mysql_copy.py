"""A MariaDB source's first copy, and where the binary log takes over from it."""

from __future__ import annotations

from headrace.change import Op
from tests.captured_mariadb import CapturedMariadb


async def test_rows_are_copied_and_followed(database: CapturedMariadb) -> None:
    database.sql("create table t(id int primary key, v varchar(20))", "insert into t values (1, 'a'), (2, 'b')")
    await database.capture()
    assert [c.op for c in database.log.changes] == [Op.READ, Op.READ]

    database.sql("insert into t values (3, 'c')", "update t set v = 'x' where id = 1", "delete from t where id = 2")
    database.sql("update t set id = 10 where id = 3")
    await database.capture()

    assert database.rows("t") == {(1,): (1, "x"), (10,): (10, "c")}
    assert [c.op.value for c in database.log.changes] == ["r", "r", "c", "u", "d", "d", "c"]
    assert database.rows("t") == await database.copied("t")
