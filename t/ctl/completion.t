#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Completion: what "eventsyncctl complete" offers, and that bash, zsh and fish
# complete a line with it that a user types.

use warnings;
use strict;

use JSON::PP;
use POSIX ();
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
$t->store_init;
$t->feed($_) for qw(orders offers);
$t->partner('acme', feeds => 'orders');
my $endpoint = $t->endpoint('acme', url => 'https://a.example/h',
    feeds => 'orders');
my ($key) = $t->partner_key('acme') =~ /^esk_([a-z2-7]+)_/;
$t->ctl_ok({ stdin => '{}' }, qw(type register order.created 1.0.0));

offers();
table();
shells();

done_testing();

###############################################################################

# The words that are offered for the last one.
sub offered {
    my (@words) = @_;
    return [ map { (split /\t/)[0] } split /\n/, $t->ctl_ok('complete', @words) ];
}

sub offers {
    my @cases = (
        [['feed'], 'fe'],
        [['create'], 'feed', 'cr'],
        [['checkpoint'], 'check'],
        [['--retain-age='], 'feed', 'create', 'x', '--retain-a'],
        [['--follow'], 'tail', 'orders', '--fo'],
        [[qw(--schema=off --schema=warn --schema=enforce)], 'feed', 'create',
            'x', '--schema='],
        [['warn'], 'feed', 'create', 'x', '--schema', 'w'],
        [['--store='], '--sto'],
        [[qw(offers orders)], 'feed', 'show', ''],
        [['orders'], 'feed', 'show', 'or'],
        [['orders'], 'tail', '--limit', '5', 'or'],
        [[], 'feed', 'show', 'orders', ''],
        [['acme'], 'endpoint', 'create', ''],
        [['acme'], 'checkpoint', 'list', '--partner', ''],
        [[$endpoint], 'endpoint', 'show', ''],
        [['acme', $endpoint], 'doctor', ''],
        [[$key], 'key', 'revoke', ''],
        [['order.created'], 'type', 'show', ''],
        [['order.created'], 'tail', 'orders', '--types', ''],
        [['--feeds=orders,offers'], 'endpoint', 'create', 'acme',
            '--feeds=orders,of'],
        [[':dirs'], 'backup', ''],
        [[':files'], 'listen', '--secret=@'],
        [[':groups'], 'store', 'rights', '--ack='],
        [[':users'], 'store', 'rights', '--dispatcher='],
        [[], 'feed', 'create', 'x', '--retain-age='],
        [[], 'feed', 'frobnicate', ''],
        [[], 'endpoint', 'show', 'x', '--nothing='],
    );
    for (@cases) {
        my ($expected, @words) = @$_;
        is_deeply(offered(@words), $expected, "complete @words");
    }
    like($t->ctl_ok('complete', 'endpoint', 'show', ''),
        qr{\tacme https://a\.example/h$}m, 'an endpoint with its URL');

    my $other = $t->testdir . '/other';
    my ($rc, $out, $err) = $t->ctl('complete', "--store=$other", 'feed', 'show',
        '');
    is("$rc$out$err", '0', 'without a store there are no names, and no message');
}

# All commands, and all options of each.
sub table {
    my @commands = map { decode_json($_) } split /\n/,
        $t->ctl_ok('help', '--json');
    my (@missing, %word);
    for my $c (@commands) {
        my ($first, $second) = split / /, $c->{command};
        my @before = $second ? $first : ();
        my $word = $second // $first;
        push @missing, $c->{command}
            if !grep { $_ eq $word } @{ offered(@before, $word) };
        my %offered = map { $_ => 1 } @{ offered(split(/ /, $c->{command}), '--') };
        push @missing, map { "$c->{command} --$_->{name}" }
            grep { !delete $offered{ "--$_->{name}" . ($_->{value} ? '=' : '') } }
            @{ $c->{options} }, @{ $c->{common_options} };
        push @missing, map { "$c->{command} has no $_" } keys %offered;
    }
    is_deeply(\@missing, [], 'all commands and options are offered, and no others');
}

###############################################################################
# real shells

# What a user types, and the words that the shell then has.
sub shells {
    my $build = $t->build;
    my $secret = $t->secret_file("x\n", 'a-secret');
    my $path = $t->testdir . '/a-sec';
    # The dispatcher's have their options from --help, and few values.
    my $key_file = $t->testdir . '/dispatcher-key';
    $t->write_file('dispatcher-key', 'x');
    my @dispatcher = (
        ["--wai\t --max-w\t5 --log-l\tw\t", ['--wait', '--max-waiting=5',
            '--log-level=warn']],
        ["--log-format j\t --verify-endpoints=h\t --sand\to\t", ['--log-format',
            'json', '--verify-endpoints=http', '--sandbox=off']],
        ["--key-file=" . substr($key_file, 0, -2) . "\t --store "
            . $t->testdir . "/sto\t", ["--key-file=$key_file", '--store',
            $t->store]],
    );
    my @typed = (
        ["fee\tcre\tx --retain-a\t7d --schema=enf\t",
            ['feed', 'create', 'x', '--retain-age=7d', '--schema=enforce']],
        ["feed show or\t", ['feed', 'show', 'orders']],
        ["endpoint show e\t", ['endpoint', 'show', $endpoint]],
        ["endpoint create acme --feeds=orders,of\t", ['endpoint', 'create',
            'acme', '--feeds=orders,offers']],
        ["listen --secret=\@$path\t", ['listen', "--secret=\@$secret"]],
        ["backup " . $t->testdir . "/sto\t", ['backup', $t->store]],
    );
    my %shell = (
        bash => ['bash --norc --noprofile -i',
            "PS1='ready> '; . ctl/completion/eventsyncctl.bash; "
            . ". dispatcher/completion/eventsync-dispatcher.bash"],
        zsh => ['zsh -f -i', "PS1='ready> '; unsetopt prompt_sp; bindkey -e; "
            . "fpath=(\$PWD/ctl/completion \$PWD/dispatcher/completion \$fpath); autoload -Uz compinit; "
            . "compinit -u -D"],
        fish => ['fish --no-config -i', "function fish_prompt; echo -n "
            . "'ready> '; end; source ctl/completion/eventsyncctl.fish; "
            . "source dispatcher/completion/eventsync-dispatcher.fish"],
    );
    for my $name (sort keys %shell) {
        SKIP: {
            skip "$name or script(1) is not installed", @typed + @dispatcher
                if system("command -v $name script >/dev/null") != 0;
            my ($command, $setup) = @{ $shell{$name} };
            my $session = session($name, $command);
            $session->{type}("$setup\n");
            for ((map { ['eventsyncctl', @$_] } @typed),
                map { ['eventsync-dispatcher', @$_] } @dispatcher)
            {
                my ($program, $keys, $words) = @$_;
                # Ctrl-A: the completed line becomes arguments of printf
                my $said = $session->{type}(
                    "$program $keys\x01printf '<%s>' \n");
                my ($printed) = $said =~ m{<$program>((?:<[^<>\e]*>)*)};
                is_deeply([ ($printed // '') =~ m{<(.*?)/?>}g ], $words,
                    "$name: $program @$words") or diag($said);
            }
            $session->{end}();
        }
    }
}

# A shell on a terminal of its own.  type() sends keys and returns what came up
# to the next prompt.
sub session {
    my ($name, $command) = @_;
    my $fifo = $t->testdir . "/$name-keys";
    my $out = $t->testdir . "/$name-screen";
    POSIX::mkfifo($fifo, 0600) or die "$fifo: $!";
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        delete $ENV{EVENTSYNC_KEY_FILE};
        $ENV{PATH} = $t->build . ":$ENV{PATH}";
        $ENV{EVENTSYNC_STORE} = $t->store;
        $ENV{HOME} = $ENV{XDG_CONFIG_HOME} = $ENV{XDG_DATA_HOME} = $t->testdir;
        $ENV{TERM} = 'dumb';
        exec 'sh', '-c', 'exec script -qefc "$1" "$2" < "$3" > /dev/null 2>&1',
            'sh', "stty cols 500; $command", $out, $fifo or POSIX::_exit(1);
    }
    open my $keys, '>', $fifo or die "$fifo: $!";
    $keys->autoflush(1);
    my $seen = 0;
    my $read = sub { -e $out ? $t->read_file("$name-screen") : '' };
    my $type = sub {
        my ($text) = @_;
        print {$keys} $text;
        my $said;
        wait_for(sub {
            $said = substr $read->(), $seen;
            return $said =~ /<eventsync-?[a-z]+>.*ready> /s
                || ($text !~ /printf/ && $said =~ /ready> /);
        }, 20);
        $seen += length $said;
        return $said;
    };
    wait_for(sub { length $read->() }, 20);
    return { type => $type, end => sub {
        print {$keys} "exit\n";
        close $keys;
        waitpid $pid, 0;
    } };
}
