-- Nothing is changed once contract has begun: from there on there is only forward.
{{ latest }}
insert into crossfade_gate select concat({{ release }}, ' can''t be aborted any more: its contract has begun. Run contract.sql to its end')
  from dual where exists (select * from crossfade_revision where `release` = {{ release }} and (contract is not null or phase = 'contract'))
    or exists (select * from crossfade_journal where `release` = {{ release }} and step like 'contract%');
insert into crossfade_gate select concat('there is nothing to abort: expand of ', {{ release }}, ' has never run here')
  from dual where not exists (select * from crossfade_revision where `release` = {{ release }});
insert into crossfade_gate select concat({{ release }}, ' is long past: this database is at version ', @crossfade_version)
  from dual where @crossfade_latest <> {{ release }}
    and @crossfade_ordinal > (select ordinal from crossfade_revision where `release` = {{ release }});
{%- if versioned %}
insert into crossfade_gate select concat('abort of ', {{ release }}, ' can''t run while a version is drained. Run this first: crossfade ', min(step), ' --undo')
  from crossfade_journal where `release` = {{ release }} and step like 'drain %' having count(*) > 0;
{%- endif %}
