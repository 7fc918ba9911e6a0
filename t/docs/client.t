#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A client in TypeScript whose types were generated of docs/openapi.json:
# t/node/client.ts compiles by the strictest rules, and does against a worker
# what it says.  A program that asks for what is not there does not compile.

use warnings;
use strict;

use Cwd qw(abs_path);
use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $modules = abs_path($ENV{BUILD} // 'build') . '/client/node_modules';
plan skip_all => 'without openapi-typescript, openapi-fetch or typescript: npm '
    . 'could not be reached, or make client was not run'
    if grep { !-d "$modules/$_" } qw(openapi-typescript openapi-fetch typescript);

my $t = Test::Eventsync->new;
my $dir = $t->testdir;

sub slurp {
    my ($name) = @_;
    open my $fh, '<', $name or die "$name: $!\n";
    local $/;
    return <$fh>;
}

# Exit status and output of a program of npm, in the directory of the test.
sub program {
    my (@cmd) = @_;
    my $proc = $t->start('npm', {}, 'sh', '-c', 'cd "$0" && exec "$@"', $dir,
        @cmd);
    return ($proc->wait(120) // 'none', $proc->stdout . $proc->stderr);
}

symlink $modules, "$dir/node_modules" or die "symlink: $!\n";
$t->write_file('package.json', '{"type":"module"}');
sub project {
    my ($name, @files) = @_;
    $t->write_file($name, encode_json({ files => \@files,
        compilerOptions => { strict => \1, noUncheckedIndexedAccess => \1,
            exactOptionalPropertyTypes => \1, noUnusedLocals => \1,
            skipLibCheck => \1, target => 'es2022',
            lib => [qw(es2022 dom)], types => [], module => 'nodenext',
            outDir => 'out' } }));
}
project('tsconfig.json', 'client.ts');

my ($rc, $said) = program("$modules/.bin/openapi-typescript",
    abs_path('docs/openapi.json'), '-o', 'api.d.ts');
is($rc, 0, 'types are generated') or diag $said;

my $source = slurp('t/node/client.ts');
$t->write_file('client.ts', $source);
($rc, $said) = program("$modules/.bin/tsc", '-p', '.');
is("$rc$said", 0, 'the client compiles');

# Each of these has one fault, which the types must show.
my @faults = (['another member', sub { s/page\.next/page.nxt/ }, 'nxt'],
    ['another path', sub { s{'/endpoints/\{name\}/pause'}{'/endpoints/{name}/stop'} },
        '/stop'],
    ['a number for a list', sub { s/'order\.paid', 'order\.gone'/7/ }, 'number'],
    ['a body without its member', sub { s/cursor: last\.cursor/rewind: true/ },
        'cursor'],
    ['a text for a number', sub { s/limit: 2/limit: '2'/ }, "type 'number'"]);
for my $i (0 .. $#faults) {
    local $_ = $source;
    $faults[$i][1]->() or die $faults[$i][0];
    $t->write_file("fault$i.ts", $_);
}
project('faults.json', map { "fault$_.ts" } 0 .. $#faults);
($rc, $said) = program("$modules/.bin/tsc", '-p', 'faults.json', '--noEmit');
isnt($rc, 0, 'faults do not compile');
like($said, qr/^fault$_\.ts\(\d+,\d+\): error .*(?:\n .*)*\Q$faults[$_][2]\E/m,
    $faults[$_][0]) for 0 .. $#faults;

# docs/http.md names the versions that are tested, and the same call.
my $page = slurp('docs/http.md');
my ($wanted) = slurp('Makefile') =~ /^CLIENT\s+= ((?:.*\\\n)*.*)$/m;
my ($install) = $page =~ /^npm install (openapi-fetch\S* .*)$/m;
is(join(' ', sort split ' ', $install // ''),
    join(' ', sort grep { $_ ne '\\' } split ' ', $wanted), 'the documented versions');
my ($list) = $page =~ /^(  querySerializer: .*)$/m;
like($source, qr/^\Q$list\E$/m, 'and the documented way to write lists');

###############################################################################
# it runs

$t->store_init->feed('orders');
my $key = $t->partner_key('acme', feeds => 'orders', publish => 'orders',
    scopes => 'read,publish,ack,manage');
$t->default_conf(location => 'eventsync_checkpoints on; eventsync_endpoints on;');
$t->run_nginx;
($rc, $said) = program('node', 'out/client.js',
    'http://127.0.0.1:' . $t->port(0) . '/v1', $key);
is($rc, 0, 'the client runs') or diag $said;
my $result = eval { decode_json($said) } // {};
my ($epoch) = ($result->{cursors}[0] // '') =~ /^(.*)-/;
like(delete $result->{name} // '', qr/^ep_/, 'it has made an endpoint');
is_deeply($result, { cursors => [map { "$epoch-$_" } 1 .. 5],
    ids => [qw(a b c d e)], paid => [qw(b d)],
    lag => { events => 0, seconds => 0 }, paused => JSON::PP::true,
    status => 410, restart => "/v1/feeds/orders/events?after=$epoch-0" },
    'and has done what it says');

done_testing();
