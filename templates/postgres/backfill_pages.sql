-- A batch that waits for a row keeps those waiting who want one that it has: after the lock timeout it lets go of all.
do $crossfade$
#variable_conflict use_column
<<crossfade_job>>
declare
  checkpoint crossfade.checkpoint;
  low bigint;       -- the first page of the batch
  high bigint;      -- the first page behind it
  pages bigint;     -- as many as the table had when the pass began
  batch integer := {{ batch }};
  changed bigint;
  failures integer := 0;
  line record;
  problem text;
  code text;
begin
  insert into crossfade.checkpoint (release, backfill) values ({{ release }}, {{ name }}) on conflict do nothing;
  select * into checkpoint from crossfade.checkpoint where release = {{ release }} and backfill = {{ name }} and part = 0;
  if checkpoint.finished_at is not null then
    return;
  end if;
  low := coalesce(checkpoint.last_key[1]::bigint, 0);
  pages := checkpoint.top_key[1]::bigint;
  loop
    if pages is null then
      -- Rows that come after this are filled by the trigger.
      low := 0;
      pages := pg_relation_size({{ table_literal }}) / current_setting('block_size')::bigint;
      update crossfade.checkpoint set top_key = array[crossfade_job.pages::text], last_key = array['0']
      where release = {{ release }} and backfill = {{ name }} and part = 0;
      commit;
    end if;
    while low < pages loop
      high := least(low + batch, pages);
      begin
        update {{ table }}
        set {{ sets }}
        where ctid >= format('(%s,0)', crossfade_job.low)::tid and ctid < format('(%s,0)', crossfade_job.high)::tid
          and {{ unfilled }};
        get diagnostics changed = row_count;
        failures := 0;
      exception
        when lock_not_available or deadlock_detected or serialization_failure then
          -- Somebody holds a row of this batch: let go of the others, make it smaller, try again.
          failures := failures + 1;
          if failures > 300 then
            raise;
          end if;
          batch := greatest(batch / 2, 1);
          perform pg_sleep(random() * least(failures, 10) * 0.1);
          continue;
        when others then
          -- A row can't be filled. Which one is told by trying them one by one; nothing of this batch stays.
          for line in
            select ctid, {{ key_text }} as key from {{ table }}
            where ctid >= format('(%s,0)', crossfade_job.low)::tid and ctid < format('(%s,0)', crossfade_job.high)::tid
              and {{ unfilled }}
          loop
            begin
              update {{ table }}
              set {{ sets_of_row }}
              where ctid = crossfade_job.line.ctid;
            exception
              when lock_not_available or deadlock_detected or serialization_failure then
                null;  -- somebody else has it: it is not the row that is looked for
              when others then
                get stacked diagnostics problem = message_text, code = returned_sqlstate;
                raise exception using
                  errcode = code,
                  message = {{ row_title }} || line.key || ' can''t be filled: ' || problem,
                  detail = {{ sets_literal }},
                  hint = 'Nothing was lost. Change this row, then run this script again.';
            end;
          end loop;
          raise;
      end;
      update crossfade.checkpoint c set last_key = array[crossfade_job.high::text], rows = c.rows + crossfade_job.changed
      where c.release = {{ release }} and c.backfill = {{ name }} and c.part = 0;
      commit;
      low := high;
      batch := least(batch * 2, {{ batch }});
    end loop;
    -- A row that an UPDATE of something else moved to another page meanwhile was perhaps passed by: then once more.
    exit when not exists (select from {{ table }} where {{ unfilled }} and {{ fillable }});
    pages := null;
  end loop;
  update crossfade.checkpoint set finished_at = now() where release = {{ release }} and backfill = {{ name }} and part = 0;
end
$crossfade$;
