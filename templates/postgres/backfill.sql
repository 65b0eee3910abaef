-- A batch that waits for a row keeps those waiting who want one that it has, and can be part of a deadlock that the server ends at
-- the cost of a client: so it lets go of all it has at once, and tries fewer. One row alone is waited for with nothing in hand.
do $crossfade$
#variable_conflict use_column
<<crossfade_job>>
declare
{%- for k in key %}
  lo_{{ loop.index }} {{ k.type }};
  hi_{{ loop.index }} {{ k.type }};
  top_{{ loop.index }} {{ k.type }};
{%- endfor %}
  checkpoint crossfade.checkpoint;
  batch integer := {{ batch }};
  changed bigint;
  failures integer := 0;
  patience text := current_setting('lock_timeout');
  line record;
  problem text;
  code text;
begin
  insert into crossfade.checkpoint (release, backfill) values ({{ release }}, {{ name }}) on conflict do nothing;
  select * into checkpoint from crossfade.checkpoint where release = {{ release }} and backfill = {{ name }} and part = 0;
  if checkpoint.finished_at is not null then
    return;
  end if;
  -- Rows that come after this are filled by the trigger.
  if checkpoint.top_key is null then
    select {{ cols }} into {{ tops }} from {{ table }} order by {{ cols_desc }} limit 1;
    update crossfade.checkpoint set top_key = array[{{ top_texts }}]
    where release = {{ release }} and backfill = {{ name }} and part = 0 and {{ top_1 }} is not null;
  else
{%- for k in key %}
    top_{{ loop.index }} := checkpoint.top_key[{{ loop.index }}];
{%- endfor %}
  end if;
  if checkpoint.last_key is null then
    select {{ cols }} into {{ los }} from {{ table }} order by {{ cols }} limit 1;
  else
{%- for k in key %}
    hi_{{ loop.index }} := checkpoint.last_key[{{ loop.index }}];
{%- endfor %}
    select {{ cols }} into {{ los }} from {{ table }} where {{ cols_row }} > {{ his_row }} order by {{ cols }} limit 1;
  end if;
  commit;
  while {{ los_row }} <= {{ tops_row }} loop
    select {{ cols }} into {{ his }}
    from (select {{ cols }} from {{ table }}
          where {{ cols_row }} >= {{ los_row }} and {{ cols_row }} <= {{ tops_row }}
          order by {{ cols }} limit crossfade_job.batch) as keys
    order by {{ cols_desc }} limit 1;
    exit when hi_1 is null;  -- the last of them were deleted meanwhile
    begin
      perform set_config('lock_timeout', case when batch > 1 then '10ms' else patience end, true);
{%- if copy %}
      -- FOR SHARE: a row that is changed or deleted meanwhile is not copied as it was.
      insert into {{ copy.target }} ({{ copy.columns }})
      select {{ copy.values }}
      from {{ table }}
      where {{ cols_row }} >= {{ los_row }} and {{ cols_row }} <= {{ his_row }}{% if copy.meant %}
        and ({{ copy.meant }}){% endif %}
      order by {{ cols }}
      for share
      on conflict ({{ copy.key }}) do nothing;
{%- else %}
      update {{ table }}
      set {{ sets }}
      where {{ cols_row }} >= {{ los_row }} and {{ cols_row }} <= {{ his_row }}
        and {{ unfilled }};
{%- endif %}
      get diagnostics changed = row_count;
      perform set_config('lock_timeout', patience, true);
      failures := 0;
    exception
      when lock_not_available or deadlock_detected or serialization_failure then
        -- Somebody holds a row of this batch: it has let go of the others.
        if batch > 1 then
          batch := greatest(batch / 4, 1);
          continue;
        end if;
        failures := failures + 1;
        if failures > 300 then
          raise;
        end if;
        perform pg_sleep(random() * least(failures, 10) * 0.1);
        continue;
      when others then
        -- A row can't be {% if copy %}copied{% else %}filled{% endif %}. Which one is told by trying them one by one; nothing of this batch stays.
        for line in
          select ctid, {{ key_text }} as key from {{ table }}
          where {{ cols_row }} >= {{ los_row }} and {{ cols_row }} <= {{ his_row }}
{%- if copy %}{% if copy.meant %}
            and ({{ copy.meant }}){% endif %}
{%- else %}
            and {{ unfilled }}
{%- endif %}
        loop
          begin
{%- if copy %}
            insert into {{ copy.target }} ({{ copy.columns }})
            select {{ copy.values }} from {{ table }} where ctid = crossfade_job.line.ctid
            for share
            on conflict ({{ copy.key }}) do nothing;
{%- else %}
            update {{ table }}
            set {{ sets_of_row }}
            where ctid = crossfade_job.line.ctid;
{%- endif %}
          exception
            when lock_not_available or deadlock_detected or serialization_failure then
              null;  -- somebody else has it: it is not the row that is looked for
            when others then
              get stacked diagnostics problem = message_text, code = returned_sqlstate;
              raise exception using
                errcode = code,
                message = {{ row_title }} || line.key || ' can''t be {% if copy %}copied{% else %}filled{% endif %}: ' || problem,
                detail = {% if copy %}{{ copy.literal }}{% else %}{{ sets_literal }}{% endif %},
                hint = 'Nothing was lost. Change this row, then run this script again.';
          end;
        end loop;
        raise;
    end;
    update crossfade.checkpoint c set last_key = array[{{ hi_texts }}], rows = c.rows + crossfade_job.changed
    where c.release = {{ release }} and c.backfill = {{ name }} and c.part = 0;
    commit;
    batch := least(batch * 2, {{ batch }});
    select {{ cols }} into {{ los }} from {{ table }} where {{ cols_row }} > {{ his_row }} order by {{ cols }} limit 1;
  end loop;
  update crossfade.checkpoint set finished_at = now() where release = {{ release }} and backfill = {{ name }} and part = 0;
end
$crossfade$;
