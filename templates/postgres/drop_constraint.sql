alter table if exists {{ table }} drop constraint if exists {{ name }};
