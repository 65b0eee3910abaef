alter table {{ table }} alter column {{ column }} drop not null;
alter table {{ table }} drop constraint if exists {{ check }};
