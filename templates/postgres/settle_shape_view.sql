create or replace view {{ view }} with (security_invoker = true) as
  select {{ settled }}
  from {{ table }};
drop view if exists {{ marker_view }};
