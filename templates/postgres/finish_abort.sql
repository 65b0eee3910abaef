delete from crossfade.checkpoint where release = {{ release }};
delete from crossfade.journal where release = {{ release }};
delete from crossfade.revision where release = {{ release }};
