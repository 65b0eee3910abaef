-- Replacing a view takes its options from it, so they are set again.
do $crossfade$
declare
  options text := (select string_agg(option, ', ') from pg_class, unnest(reloptions) as option where oid = to_regclass({{ view_literal }}));
begin
  create or replace view {{ view }} as
    {{ query }};
  if options is not null then
    execute format('alter view %s set (%s)', {{ view_literal }}, options);
  end if;
end
$crossfade$;
{%- if comment %}
comment on view {{ view }} is {{ comment }};
{%- endif %}
