# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Frameworks;

# The receivers of docs/receivers.md: their code, and processes that run it, or
# a changed copy of it.

use warnings;
use strict;

use File::Path qw(make_path);

use Test::Eventsync;

use parent 'Exporter';
our @EXPORT_OK = qw($PAGE %CODE %NEEDS missing launch);

our $PAGE = do { local (@ARGV, $/) = 'docs/receivers.md'; <> };

# What each needs: packages of npm, and the newest of their minimal versions of
# Node.js.
our %NEEDS = (
    'Fastify' => [[qw(fastify standardwebhooks)], 20],
    'Express' => [[qw(express standardwebhooks)], 18],
    'Express, Svix' => [[qw(express svix)], 18],
    'Hono' => [[qw(hono @hono/node-server standardwebhooks)], 20],
    'CloudEvents SDK' => [[qw(cloudevents express standardwebhooks)], 20],
    'Node.js alone' => [[], 18],
    'Flask' => undef,
);

our %CODE = $PAGE =~ /^### ([^\n]+)\n\n```(?:js|python)\n(.*?)^```/msg;
my ($svix) = $PAGE =~ /^By the guide of Svix.*?```js\n(.*?\n)```/ms;
$CODE{'Express, Svix'} = ($CODE{Express} // '')
    =~ s/^import \{ Webhook \} .*\n/$svix/mr;

my ($node) = (`node --version 2>/dev/null` // '') =~ /^v(\d+)/;
my $flask = `python3 -c 'import flask' 2>&1` eq '';

sub modules { $_[0]->build . '/receivers/node_modules' }

# Why a receiver cannot run here; nothing if it can.
sub missing {
    my ($t, $name) = @_;
    return $flask ? undef : 'python3-flask is not installed'
        if !$NEEDS{$name};
    my ($packages, $least) = @{ $NEEDS{$name} };
    return "Node.js $least is not installed" if ($node // 0) < $least;
    my @gone = grep { !-d modules($t) . "/$_" } @$packages;
    return @gone ? "npm has not installed @gone: make receivers" : undef;
}

# Starts the code in a directory of its own: { dir, port, url, secret, proc,
# ready }, where ready() waits for the port.
my $count = 0;
sub launch {
    my ($t, $name, $code, $secret) = @_;

    my $id = 'framework' . ++$count;
    my $dir = $t->testdir . "/$id";
    my $port = Test::Eventsync::free_port();
    my $program = $NEEDS{$name} ? 'receiver.mjs' : 'receiver.py';
    make_path($dir);
    symlink modules($t), "$dir/node_modules";
    $t->write_file("$id/$program", $code);

    my $proc = $t->start($id, { env => { PORT => $port,
        WEBHOOK_SECRET => $secret } }, 'sh', '-c', 'cd "$1" && exec "$2" "$3"',
        'sh', $dir, $NEEDS{$name} ? 'node' : 'python3', $program);
    my $open = sub { Test::Eventsync::port_open($port) };
    return { dir => $dir, port => $port, secret => $secret, proc => $proc,
        url => "http://127.0.0.1:$port/hook", ready => sub {
            Test::Eventsync::wait_for(sub { !$proc->running || $open->() }, 60)
                && $open->() } };
}

1;
