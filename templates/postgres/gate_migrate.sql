-- Nothing is changed unless expand has finished.
do $crossfade$
declare
  latest crossfade.revision;
begin
  select * into latest from crossfade.revision where phase <> 'aborted' order by ordinal desc limit 1;
  if latest.release is distinct from {{ release }} or latest.phase = 'begun' then
    raise exception 'migrate of % can''t run before its expand has finished', {{ release }}
      using hint = 'Run expand.sql first: psql -X -v ON_ERROR_STOP=1 -f expand.sql';
  end if;
  if latest.phase = 'contract' then
    raise exception '% is contracted already: there is nothing to migrate', {{ release }};
  end if;
end
$crossfade$;
