delimiter //
create procedure crossfade_backfill()
work: begin
  declare batch integer default {{ batch }};
  declare changed bigint default 0;
  declare failures integer default 0;
  declare busy boolean default false;
  declare done boolean default false;
  -- Somebody holds a row of this batch (1205, 3572), waits for one of ours (1213), or has just changed one (1020, MariaDB).
  declare continue handler for 1020, 1205, 1213, 3572 set busy = true;
  insert ignore into crossfade_checkpoint (`release`, backfill) values ({{ release }}, {{ name }});
  select finished_at is not null, last_key, top_key into done, @last_key, @top_key
    from crossfade_checkpoint where `release` = {{ release }} and backfill = {{ name }} and part = 0;
  if done then
    leave work;
  end if;
  -- Rows that come after this are {{ "filled" if updates else "carried over" }} by the trigger.
{%- for k in key %}
  set @lo_{{ loop.index }} = null, @hi_{{ loop.index }} = null, @top_{{ loop.index }} = null;
{%- endfor %}
  if @top_key is null then
    select {{ cols }} into {{ tops }} from {{ table }} order by {{ cols_desc }} limit 1;
    set @top_key = {{ tops_json }};
    update crossfade_checkpoint set top_key = @top_key
      where `release` = {{ release }} and backfill = {{ name }} and part = 0 and @top_1 is not null;
  else
{%- for k in key %}
    set @top_{{ loop.index }} = {{ k.of_top }};
{%- endfor %}
  end if;
{%- if updates %}
  -- Columns that the server sets on every UPDATE keep what they have: nobody has changed these rows.
  set @kept = (
    select group_concat(concat(', `', replace(column_name, '`', '``'), '` = `', replace(column_name, '`', '``'), '`') separator '')
    from information_schema.columns
    where table_schema = database() and table_name = {{ table_literal }} and extra like '%on update%');
  set @fill = concat({{ what }}, coalesce(@kept, ''), {{ where }});
{%- else %}
  -- A row that is there already is left alone; one that is copied is not written by anyone until it is.
  set @fill = concat({{ what }}, {{ where }});
{%- endif %}
  prepare crossfade_fill from @fill;
{%- if locks %}
  set @lock = {{ locks }};
  prepare crossfade_lock from @lock;
{%- endif %}
  set @alone = {{ alone }};
  prepare crossfade_alone from @alone;
  set @first = {{ first }};
  prepare crossfade_first from @first;
  set @next = {{ next }};
  prepare crossfade_next from @next;
  set @bound = {{ bound }};
  prepare crossfade_bound from @bound;
  if @last_key is null then
    execute crossfade_first;
  else
{%- for k in key %}
    set @hi_{{ loop.index }} = {{ k.of_last }};
{%- endfor %}
    execute crossfade_next using {{ after_args }};
  end if;
  -- Who waits while it holds rows can be half of a deadlock, and the server may end the other half: a client's transaction. So a
  -- batch never waits: it has all of its rows at once, or lets go of them and tries fewer. When one row is left, which somebody
  -- holds, it is waited for with nothing in hand; then the batches grow again.
{%- if not locks %}
  set session innodb_lock_wait_timeout = 0;
{%- endif %}
  while @lo_1 is not null do
    set @batch = batch;
{%- for k in key %}
    set @hi_{{ loop.index }} = null;
{%- endfor %}
    execute crossfade_bound using {{ bound_args }};
    if @hi_1 is null then  -- nothing is left up to the last key there was
      set @lo_1 = null;
    else
      set busy = false;
      start transaction;
      if batch = 1 then
{%- for k in key %}
        set @lo_{{ loop.index }} = @hi_{{ loop.index }};
{%- endfor %}
        execute crossfade_alone using {{ his }};
{%- if locks %}
      else
        execute crossfade_lock using {{ range_args }};
{%- endif %}
      end if;
      if not busy then
        execute crossfade_fill using {{ range_args }};
        set changed = row_count();
      end if;
      if not busy then
        update crossfade_checkpoint set last_key = {{ his_json }}, `rows` = `rows` + changed
          where `release` = {{ release }} and backfill = {{ name }} and part = 0;
      end if;
      if busy then
        rollback;
        if batch > 1 then
          set batch = batch div 2;
        else
          set failures = failures + 1;
          if failures > 100 then
            signal sqlstate '45000' set message_text = 'the backfill meets a locked row again and again: run the script once more';
          end if;
          do sleep(rand() * least(failures, 10) * 0.1);
        end if;
      else
        commit;
        set failures = 0, batch = least(batch * 2, {{ batch }});
{%- for k in key %}
        set @lo_{{ loop.index }} = null;
{%- endfor %}
        execute crossfade_next using {{ after_args }};
      end if;
    end if;
  end while;
{%- if not locks %}
  set session innodb_lock_wait_timeout = 1;
{%- endif %}
  deallocate prepare crossfade_fill;
{%- if locks %}
  deallocate prepare crossfade_lock;
{%- endif %}
  deallocate prepare crossfade_alone;
  deallocate prepare crossfade_first;
  deallocate prepare crossfade_next;
  deallocate prepare crossfade_bound;
  update crossfade_checkpoint set finished_at = now() where `release` = {{ release }} and backfill = {{ name }} and part = 0;
end //
delimiter ;
call crossfade_backfill();
drop procedure crossfade_backfill;
