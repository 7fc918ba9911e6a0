#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The upgrade of docs/operations.md: a reload keeps the old module, a binary
# upgrade brings the new one and fails no request.  And what nginx says of a
# module that was built for another nginx.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
my $dir = $t->testdir;
my ($version) = $t->ctl_ok('--version') =~ /^eventsyncctl (\d+\.\d+\.\d+)$/
    or die;
(my $new = $version) =~ s/^\d/9/;

sub slurp { my ($name) = @_; open my $fh, '<:raw', $name or die "$name: $!\n";
    local $/; return <$fh> }
sub pid { slurp("$dir/nginx.pid") + 0 }

# The steps of the page, with this test's places.
my ($upgrade) = slurp('docs/operations.md')
    =~ /^### Source\n.*?^```sh\n(.*?)^```\n/ms or die;
my ($install, $rest) = $upgrade =~ /\A(install .*?\n)(.*)\z/s or die $upgrade;

# Another build of the module: its version has other digits.
my $built = slurp($t->build . '/ngx_http_eventsync_module.so');
mkdir "$dir/$_" for qw(modules build);
$t->write_file('modules/ngx_http_eventsync_module.so', $built);
my $changed = ($built =~ s/\Q$version\E/$new/gr);
isnt($changed, $built, 'a module of another version');
$t->write_file('build/ngx_http_eventsync_module.so', $changed);

###############################################################################
# what page and programs say of versions

is(Test::Eventsync::json(slurp('docs/openapi.json'))->{info}{version}, $version,
    'the OpenAPI document has the same version');
my %said = map { $_ => 1 } map { slurp($_) =~ /`eventsync\s+([\d.]+)\s+on\s+store/g }
    glob 'docs/*.md';
is_deeply([ keys %said ], [$version], 'and so do the log lines in the docs');

###############################################################################
# a running nginx, as a service runs it

$t->store_init->feed('orders');
my $key = $t->master_key;
$t->default_conf;
my $conf = $t->read_file('nginx.conf');
$conf =~ s/daemon off;/daemon on;/;
$conf =~ s{load_module \S+;}{load_module $dir/modules/ngx_http_eventsync_module.so;};
my %env = $t->sanitizer_env('nginx');

# nginx gives a new master no variable that its configuration does not name.
$conf = join '', (map { "env $_;\n" } sort keys %env), $conf;
$t->write_file('nginx.conf', $conf);
my @nginx = ($t->nginx_binary, '-p', "$dir/", '-c', "$dir/nginx.conf", '-e',
    "$dir/startup.log");
@ENV{keys %env} = values %env;
$t->at_end(sub { kill TERM => pid() if -s "$dir/nginx.pid"; });
is(system(@nginx), 0, 'nginx starts');
ok(wait_for(sub { -s "$dir/nginx.pid" && runs() eq $version }, 20),
    'it runs, and tells the version of its module');
my $first = pid();
like($t->read_file('error.log'),
    qr/\[notice\].* eventsync \Q$version\E on store "/, 'in its log too');

# The version that answers; '' when there is no answer.
sub runs {
    my $answer = eval { $t->http(GET => '/ops/metrics') } or return '';
    return $answer->{body} =~ /^eventsync_build_info\{version="(.*?)"\} 1$/m
        ? $1 : '';
}
sub maps { slurp('/proc/' . pid() . '/maps') =~ /(eventsync_module\.so.*)/
    ? $1 : '' }

###############################################################################
# a reload

$install =~ s{\bbuild/}{$dir/build/}g;
$install =~ s{/usr/lib/nginx/modules}{$dir/modules}g;
is(system('sh', '-ec', $install), 0, 'the file is replaced as the page says');
my %old = map { $_ => 1 } Test::Eventsync::children($first);
kill HUP => $first;
ok(wait_for(sub { my @now = Test::Eventsync::children($first);
    @now && !grep { $old{$_} } @now }, 20), 'a reload');
is(runs(), $version, 'keeps the old module');
like(maps(), qr/\(deleted\)/, 'whose file is gone');

###############################################################################
# a binary upgrade, beside polls, publishes and a long poll

my $busy = $t->background(client => sub {
    my ($asked, $failed) = (0, 0);
    for (my $n = 0; !$t->told_to_end; $n++) {
        my $status = eval { $n % 2
            ? $t->publish('orders', { key => $key }, { id => "e$n" })->{status}
            : $t->http(GET => '/v1/feeds/orders/events?limit=1',
                { authorization => "Bearer $key" })->{status} } // 0;
        $asked++;
        $failed++ if $status != ($n % 2 ? 201 : 200);
    }
    print "$asked $failed\n";
});
my $waiting = $t->http_start(GET =>
    '/v1/feeds/orders/events?from=latest&types=none&wait=60',
    { authorization => "Bearer $key" });

$rest =~ s{/run/nginx\.pid}{$dir/nginx.pid}g;
$rest =~ s{^nginx -t}{@nginx -t -q}m;
is(system('timeout', '30', 'sh', '-ec', $rest), 0, 'the steps of the page');
ok(wait_for(sub { !-e "$dir/nginx.pid.oldbin" }, 30), 'the old master ends');
isnt(pid(), $first, 'another one runs');
ok(wait_for(sub { !kill(0 => $first)
    || (Test::Eventsync::cmdline($first) // '') eq '' }), 'the first is gone');
is(runs(), $new, 'with the new module');
unlike(maps(), qr/\(deleted\)/, 'of the new file');
is($t->http_end($waiting)->{status}, 200, 'a waiting poll is answered');
$t->tell_to_end;
$busy->wait(20);
my ($asked, $failed) = $busy->stdout =~ /^(\d+) (\d+)$/;
cmp_ok($asked, '>', 10, "$asked requests were made meanwhile");
is($failed, 0, 'and none failed');

kill QUIT => pid();
ok(wait_for(sub { !-e "$dir/nginx.pid" }, 20), 'nginx ends');

###############################################################################
# a module for another nginx

my ($number) = map { sprintf '%d%03d%03d', split /\./ }
    `@{[ $t->nginx_binary ]} -v 2>&1` =~ m{/(\d+\.\d+\.\d+)};
my $is = pack 'Q<', $number;
my $page = slurp('docs/operations.md');
for (['version', $built =~ s/\Q$is\E/pack 'Q<', 1031005/ger,
        qr/module "[^"]+" version 1031005 instead of $number/,
        qr/version \d+ instead of \d+/],
    ['build', $built =~ s/8,4,8,([01]{6})/'8,4,8,' . $1 =~ tr|01|10|r/ger,
        qr/module "[^"]+" is not binary compatible/,
        qr/is not binary compatible/])
{
    my ($of, $module, $line, $told) = @$_;
    isnt($module, $built, "a module of another $of");
    $t->write_file('modules/other.so', $module);
    my ($rc, $said) = $t->check_conf(
        "load_module $dir/modules/other.so;\nevents { }\n");
    is($rc, 1, 'is refused');
    like($said, $line, 'as nginx says it');
    like($page, $told, 'and as docs/operations.md says');
}

done_testing();
