-- Nothing is changed once contract has begun: from there on there is only forward.
do $crossfade$
declare
  latest crossfade.revision;
begin
  select * into latest from crossfade.revision where phase <> 'aborted' order by ordinal desc limit 1;
  if exists (select from crossfade.revision where release = {{ release }} and (contract is not null or phase = 'contract'))
    or exists (select from crossfade.journal where release = {{ release }} and step like 'contract%') then
    raise exception '% can''t be aborted any more: its contract has begun', {{ release }}
      using hint = 'Run contract.sql to its end.';
  end if;
  if not exists (select from crossfade.revision where release = {{ release }}) then
    raise exception 'there is nothing to abort: expand of % has never run here', {{ release }};
  end if;
  if latest.release <> {{ release }} and latest.ordinal > (select ordinal from crossfade.revision where release = {{ release }}) then
    raise exception '% is long past: this database is at version %', {{ release }}, latest.new_version;
  end if;
{%- if versioned %}
  if exists (select from crossfade.journal where release = {{ release }} and step like 'drain %') then
    raise exception 'abort of % can''t run while a version is drained: nothing was changed', {{ release }}
      using hint = (select format('Run this first: crossfade drain %s --undo', substr(min(step), 7))
                    from crossfade.journal where release = {{ release }} and step like 'drain %');
  end if;
{%- endif %}
  -- From here on nothing counts as done any more: a phase that is run after half an abort does all of it again.
  delete from crossfade.checkpoint where release = {{ release }};
  update crossfade.journal set finished_at = null where release = {{ release }} and hash is not null;
  update crossfade.revision set phase = 'begun', expand = null, migrate = null where release = {{ release }} and phase <> 'aborted';
end
$crossfade$;
