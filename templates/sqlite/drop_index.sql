drop index {{ exists }}{{ index }};
