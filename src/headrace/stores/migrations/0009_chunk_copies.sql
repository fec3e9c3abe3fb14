-- How many chunks of the same text stand before one in its document: it is called by its text, and by this where that is
-- not enough. Chunks of before are cut anew by this release.
alter table chunks add column copy integer not null default 0;
