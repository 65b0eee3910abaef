create or replace view {{ view }} with (security_invoker = true) as
  select {{ outer }}
  from {{ table }};
drop view if exists {{ marker_view }};
