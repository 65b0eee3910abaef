-- Nothing is changed unless migrate has finished.
do $crossfade$
declare
  latest crossfade.revision;
begin
  select * into latest from crossfade.revision where phase <> 'aborted' order by ordinal desc limit 1;
  if latest.release is distinct from {{ release }} or latest.phase in ('begun', 'expand') then
    raise exception 'contract of % can''t run before its migrate has finished', {{ release }}
      using hint = case
        when latest.release is distinct from {{ release }} or latest.phase = 'begun' then
          'Run expand.sql first: psql -X -v ON_ERROR_STOP=1 -f expand.sql'
        else 'Run migrate.sql first: psql -X -v ON_ERROR_STOP=1 -f migrate.sql'
      end;
  end if;
  if exists (select from crossfade.failing_row where release = {{ release }}) then
    raise exception 'contract of % can''t run while crossfade.failing_row holds rows that could not be filled', {{ release }};
  end if;
{%- if versioned %}
  if exists (select from crossfade.journal where release = {{ release }} and step like 'drain %') then
    raise exception 'contract of % can''t run while a version is drained: nothing was changed', {{ release }}
      using hint = (select format('Run this first: crossfade drain %s --undo', substr(min(step), 7))
                    from crossfade.journal where release = {{ release }} and step like 'drain %');
  end if;
{%- endif %}
end
$crossfade$;
