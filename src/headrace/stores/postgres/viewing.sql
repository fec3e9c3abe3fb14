-- name: readable
-- Whether a viewer may read the document of {of}: everything that is said of it must let them in. Asked row by row.
(select coalesce(bool_and(coalesce(a.owner = %(viewer)s::text, false) or a.groups && %(viewer_groups)s::text[]), true)
   from document_access a where a.document = {of}.document and a.tenant = %(tenant)s);

-- name: readable_of_all
-- The same, where it is asked of every row there is: what may not be read is found first.
not exists (select from document_access a
             where a.document = {of}.document and a.tenant = %(tenant)s
               and not (coalesce(a.owner = %(viewer)s::text, false) or a.groups && %(viewer_groups)s::text[]));

-- name: standing
-- Whether anything is said of any document, and how many of some present documents may be read.
select exists (select from document_access any_ where any_.tenant = %(tenant)s),
       (select count(*) from unnest(%(documents)s::text[]) as d(document) where {readable});

-- name: some
-- Some present documents, always the same of those that there are.
select document from document_versions
 where tenant = %(tenant)s and closed_at is null order by hashtext(document), document limit %(limit)s;

-- name: was_readable
-- Whether they might read the version `v` while it was the present one.
(v.access is null
 or not exists (select from jsonb_each(v.access) as said(by, readers)
                 where not (coalesce(said.readers ->> 'owner' = %(viewer)s::text, false)
                            or said.readers -> 'groups' ?| %(viewer_groups)s::text[])));

-- name: readable_documents
-- Those of some documents that may be read.
select d.document from unnest(%(documents)s::text[]) as d(document) where {readable};

-- name: turns
-- A conversation's last turns, newest first, without those made from what may not be read.
select role, text, focus, at, documents from turns
 where tenant = %(tenant)s and conversation = %(conversation)s
   and not exists (select from unnest(documents) as d(document) where not {readable})
 order by n desc limit %(limit)s;
