-- Who may read documents that not everybody may, as of now: every row of a document must let a reader in. `major` and
-- `minor`: of the change that says it (0, 0: the source's configuration). One behind the document's present version is
-- of a change that is still being prepared: what it takes away is taken away already.
create table document_access (
    tenant text not null default 'default',
    document text collate "C" not null,
    major bigint not null,
    minor bigint not null,
    at bigint not null,
    owner text,
    groups text[] not null,
    primary key (document, tenant, major, minor)
);
-- Who might read a version while it was the present one (null: everybody), for reading it later: {source, own}, each
-- {owner, groups}.
alter table document_versions add column access jsonb;
-- What a turn rests on: it is not remembered for somebody who may not read that.
alter table turns add column documents text[] not null default '{}';
