#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What README.md and docs/ say is there and works: links and files, the
# configuration and commands of docs/install.md as they stand, what make install
# brings and a producer in C built with it; and what the programs have is
# documented.

use warnings;
use strict;

use Encode qw(decode);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Members qw(endpoint_members);

my $t = Test::Eventsync->new;
my @pages = ('README.md', glob 'docs/*.md docs/guides/*.md');
my %text = map { $_ => slurp($_) } @pages;

links();
width();
cells();
anchors();
files();
options();
rates();
limits();
endpoint_options();
set_up();
install();

done_testing();

###############################################################################

sub slurp {
    my ($name) = @_;
    open my $fh, '<', $name or die "$name: $!\n";
    local $/;
    return <$fh>;
}

sub links {
    for my $page (@pages) {
        my ($dir) = $page =~ m{^(.*/)?};
        $dir //= '';
        my @broken = grep { !/^https?:/ && !-e "$dir$_" }
            $text{$page} =~ /\]\(([^)#\s]+)/g;
        is_deeply(\@broken, [], "$page: links lead somewhere");
    }
    my @unread = grep { my ($name) = m{^docs/(.*)};
        defined $name && $name !~ m{^(?:README\.md$|guides/(?!README))}
            && $text{'docs/README.md'} !~ /\(\Q$name\E\)/ } @pages;
    is_deeply(\@unread, [], 'docs/README.md leads to every page');
    like($text{'README.md'}, qr{\(docs/README\.md\)},
        'README.md leads to docs/README.md');
}

# Prose is wrapped at 80 columns; tables, code and lists of links are not prose.
sub width {
    for my $page (@pages) {
        my ($fenced, $number, @long) = (0, 0);
        for my $line (split /\n/, decode('UTF-8', $text{$page})) {
            $number++;
            $fenced = !$fenced if $line =~ /^ {0,3}```/;
            push @long, "line $number" if !$fenced && length $line > 80
                && $line !~ /^(?:\|| {4}|- \[)/;
        }
        is_deeply(\@long, [], "$page: prose is wrapped at 80 columns");
    }
}

# Each example of a whole configuration limits what clients may do.
sub limits {
    for my $page (qw(docs/install.md docs/directives.md docs/cdn.md t/demo.pl))
    {
        my $text = $text{$page} // slurp($page);
        my ($conf) = $page =~ /md$/ ? $text =~ /```nginx\n(.*?)```/s : $text;
        my %on = map { $_ => 1 } $conf =~ /^ *eventsync_limit +(\w+) +\w+=/mg;
        is_deeply([ sort keys %on ],
            [ qw(address backfill poll publish waits) ],
            "$page: every limit is on");
    }
}

# As GitHub names headings: lower case, without marks, a dash for each blank.
sub anchors {
    my %has;
    for my $page (@pages) {
        my ($fenced, %seen);
        for my $line (split /\n/, $text{$page}) {
            $fenced = !$fenced if $line =~ /^ {0,3}```/;
            $has{$page}{$_} = 1 for $line =~ /<a id="([^"]+)">/g;
            my ($heading) = $line =~ /^#+ (.*)/ or next;
            next if $fenced;
            my $anchor = lc $heading =~ s/[^\w\s-]//gr =~ s/\s/-/gr;
            $has{$page}{$anchor . ($seen{$anchor}++ ? "-$seen{$anchor}" : '')}
                = 1;
        }
    }
    for my $page (@pages) {
        my ($dir) = $page =~ m{^(.*/)?};
        my @broken;
        for ($text{$page} =~ /\]\(([^)\s]*#[^)\s]+)\)/g) {
            my ($to, $anchor) = /^(.*)#(.*)/;
            next if $to =~ /^https?:/;
            my $target = $to eq '' ? $page : ($dir // '') . $to;
            1 while $target =~ s{[^/]+/\.\./}{};
            push @broken, $_ unless $has{$target}{$anchor};
        }
        is_deeply(\@broken, [], "$page: links lead to headings");
    }
}

# The arithmetic of "Which ordering and schedule for which rate".
sub rates {
    my %unit = (ms => .001, s => 1, m => 60, h => 3600);
    my $seconds = sub { map { /^(\d+)(ms|[smh])$/ ? $1 * $unit{$2} : 0 } @_ };
    my ($default) = $text{'docs/registry.md'} =~ /^\| `schedule` .*? `(0 [^`]+)`/m;
    my ($table) = $text{'docs/dispatcher.md'}
        =~ /^(\| attempts that fail .*?)^$/ms;
    my ($head, undef, @rows) = split /\n/, $table;
    my ($quick) = $head =~ /`(0,.*)`/;
    my @schedules = ([$seconds->(split / /, $default)],
        [$seconds->(split /,/, $quick)]);
    my @wrong;
    for my $row (@rows) {
        my ($p, @told) = $row =~ /^\| (\S+).*? \| (\S+) \| (\S+) \|$/;
        for my $i (0, 1) {
            my ($time, $chance) = (.02, 1);
            for my $delay (@{ $schedules[$i] }[1 .. $#{ $schedules[$i] }]) {
                $chance *= $p eq 'none' ? 0 : $p / 100;
                $time += $chance * $delay;
            }
            my $is = 1 / $time + 1e-9;
            $is = $is < 1 ? int($is * 10) / 10 : int $is;
            push @wrong, "$row: $is" if $is != $told[$i];
        }
    }
    is(scalar @rows, 4, 'docs/dispatcher.md has rates by chances of failure');
    is_deeply(\@wrong, [], 'and they are computed rightly');
}

# A row with more or fewer cells than its table's head is cut when it is shown:
# a `|` ends a cell also between backticks, unless a backslash is before it.
sub cells {
    for my $page (@pages) {
        my ($columns, $fenced, $number, @bad);
        for my $line (split /\n/, $text{$page}) {
            $number++;
            $fenced = !$fenced if $line =~ /^ {0,3}(?:```|~~~)/;
            if ($fenced || $line !~ /^ {0,3}\|/) {
                $columns = undef;
                next;
            }
            my $cells = () = $line =~ /(?<!\\)\|/g;
            $columns //= $cells;
            push @bad, "line $number" if $cells != $columns
                || $line !~ /\|\s*$/;
        }
        is_deeply(\@bad, [], "$page: each row has its table's cells");
    }
}

# The tables of an endpoint's members and options, as the code has them.
sub endpoint_options {
    my @members = endpoint_members();
    my @rows = map { /^\| `(\w+)` \| .*? \| (.*?) \| / ? [ $1, $2 ] : () }
        split /\n/, $text{'docs/registry.md'} =~ s/.*?^## Endpoint\n(.*?)^#.*/$1/msr;
    my %option = map { /^\| `--([a-z-]+)[^|]*`? \| (.*?) \| / ? ($1 => $2) : () }
        split /\n/, $text{'docs/eventsyncctl.md'}
            =~ s/.*?^### Options of an endpoint\n(.*?)(?:^#|\z).*/$1/msr;

    is_deeply([ map { [ $_->[0], $_->[1] =~ tr/`//dr ] } @rows ],
        [ map { [ @$_{qw(name preset)} ] } @members ],
        'docs/registry.md has each member of an endpoint, with its default');

    @members = grep { $_->{option} ne '-' } @members;
    is_deeply([ sort grep { $_ ne 'name' } keys %option ],
        [ sort map { $_->{option} } @members ],
        'docs/eventsyncctl.md has each option of an endpoint');
    my @other = grep {
        my $is = $_->{preset} =~ tr/ ,//dr;
        $is =~ /^(?:[a-z]+|[0-9][0-9a-z]*)$/
            && $is !~ /^(?:none|required|false|every.*)$/
            && ($option{ $_->{option} } // '') =~ tr/ ,`//dr ne $is;
    } @members;
    is_deeply([ map { $_->{option} } @other ], [], 'with its default');
}

sub files {
    for my $page (@pages) {
        my @missing;
        # Guides name files that the reader makes.
        my %made = map { $_ => 1 } $text{$page} =~ /^Save this as `(.*)`:$/mg;
        for my $name (grep { !$made{$_} }
            $text{$page} =~ /`([a-z_\/]+\.(?:c|h|t|md|sh|pl))`/g) {
            my @places = $name =~ m{/} ? $name : map { "$_/$name" }
                glob('shared/*'),
                qw(ngx_module dispatcher ctl docs t bench);
            push @places, "ngx_module/ngx_http_eventsync$name";
            push @missing, $name unless grep { -e } @places;
        }
        is_deeply(\@missing, [], "$page: the files it names are there");
    }
}

# Each directive, and each option of the dispatcher, has its place.  t/ctl/table.t
# compares the commands of eventsyncctl.
sub options {
    my $program = $t->build . '/eventsync-dispatcher';
    my $dispatcher = `$program --help`;

    my @silent = grep { $text{'docs/dispatcher.md'} !~ /`\Q$_\E\b/ }
        grep { !/^--(?:help|version)$/ } $dispatcher =~ /^  (--[a-z0-9-]+)/mg;
    is_deeply(\@silent, [], 'docs/dispatcher.md has each option');

    @silent = ();
    for my $file (glob 'ngx_module/*.c') {
        for my $name (slurp($file) =~ /ngx_string\("(eventsync_\w+)"\),\s+NGX_/g)
        {
            push @silent, $name
                if $text{'docs/directives.md'} !~ /^### $name$/m;
        }
        for my $name (slurp($file) =~ /ngx_string\("(eventsync_\w+)"\), NULL/g)
        {
            # The module's own, for the page of a 413.
            push @silent, "\$$name" if $name ne 'eventsync_too_large'
                && $text{'docs/directives.md'} !~ /`\$\Q$name\E/;
        }
    }
    is_deeply(\@silent, [], 'docs/directives.md has each directive and '
        . 'variable');
}

# The configuration and commands of docs/install.md without packages, with other
# places.  t/package.pl has those of packages.
sub set_up {
    my $page = $text{'docs/install.md'};
    my ($conf) = $page =~ /```nginx\n(.*?)```/s;
    my $commands = join '', map { $page =~ /^#+ $_\n.*?```sh\n(.*?)```/ms }
        'The store', 'The first partner';
    $commands .= join '', $page =~ /^(?: {4})?((?:runuser|eventsyncctl endpoint
        \ create\ acme\ --url=https).*\n)/mgx;
    my ($store, $build, $port) = ($t->store, $t->build, $t->port(0));
    my $dir = $t->testdir;

    s{/var/lib/eventsync}{$store}g for $conf, $commands;
    $commands =~ s{/etc/eventsync}{$dir}g;
    $conf =~ s{listen 8080;}{listen 127.0.0.1:$port;};
    $conf = "events { }\nhttp {\n$conf}\n";

    my $key;
    for my $command (split /\n/, $commands) {
        if ($command =~ /^runuser .* eventsync-dispatcher --store \Q$store\E(.*)/)
        {
            $t->run_dispatcher(split ' ', $1);
            next;
        }
        # Only t/docs/operations_users.t has the users and groups.
        next if $command =~ /^(?:install -d |chgrp |.* store rights )/;
        if ($command =~ /^\(umask .*openssl /) {
            is(system('sh', '-c', $command), 0, 'docs/install.md: a key file');
            next;
        }
        if ($command =~ /^export (\w+)=(\S+)$/) {
            $ENV{$1} = $2;
            next;
        }
        $command =~ s/^eventsyncctl (?:--store \Q$store\E )?// or die $command;
        my $out = $t->ctl_ok(split / /, $command);
        $key = $1 if $out =~ /(esk_\w+)/;
    }
    ok($key, 'docs/install.md: the commands work');
    delete @ENV{qw(EVENTSYNC_STORE EVENTSYNC_KEY_FILE)};

    $t->write_file_expand('nginx.conf', $conf);
    $t->run_nginx;
    is($t->publish('orders', { key => $key }, { id => 'a' })->{status}, 201,
        'docs/install.md: the configuration works: an event is published');
    is($t->poll('orders', key => $key, from => 'oldest')->{events}[0]{id}, 'a',
        'and polled');
    is(scalar @{ $t->json_get('/v1/feeds', $key)->{feeds} }, 1,
        'and the feed is listed');

    my ($curl) = $text{'docs/install.md'} =~ /```sh\n(KEY=.*?)```/s;
    $curl =~ s/^KEY=.*/KEY=$key/;
    $curl =~ s{http://localhost:8080/}{http://127.0.0.1:$port/}g;
    $curl =~ s/^curl /curl -s /mg;
    like(`$curl`, qr/\{"results":\[.*"duplicate":false.*"id":"evt-1".*"next"/s,
        'the commands of curl publish and poll');

    my $ask = sub { $t->http(GET => '/v1/feeds',
        { authorization => "Bearer $_[0]" }) };
    like($ask->($key)->{headers}{'ratelimit-policy'} // '', qr/"poll"/, 'limits are on');
    my $wrong = sub { $ask->('esk_no')->{status} };
    my @first = map { $wrong->() } 1 .. 60;
    is(scalar(grep { $_ == 401 } @first), 60, 'an address may guess some keys');
    is(scalar(grep { $wrong->() == 429 } 1 .. 20) > 0, 1, 'and not more');
    is($t->stop_dispatcher, 0, 'the dispatcher runs');
}

# The example of eventsync.h, and what operations.md says of make install.
sub install {
  SKIP: {
    skip 'not with an nginx of our own', 5 if -e $t->build . '/nginx';

    my $root = $t->testdir . '/root';
    my $make = sub {
        local $ENV{MAKEFLAGS} = '';
        local $ENV{PKG_CONFIG_PATH} = "$root/usr/lib/pkgconfig";
        local $ENV{PKG_CONFIG_SYSROOT_DIR} = $root;
        my $out = `@_ 2>&1`;
        diag($out) if $?;
        return $? == 0;
    };
    ok($make->('make -s install BUILD=' . $t->build, "DESTDIR=$root"),
        'make install');
    my @missing = grep { !-e "$root/usr/$_" }
        qw(lib/nginx/modules/ngx_http_eventsync_module.so include/eventsync.h
        sbin/eventsync-dispatcher bin/eventsyncctl lib/libeventsync.a
        lib/pkgconfig/eventsync.pc share/man/man1/eventsyncctl.1
        share/man/man8/eventsync-dispatcher.8
        share/bash-completion/completions/eventsync-dispatcher
        share/fish/vendor_completions.d/eventsync-dispatcher.fish
        share/zsh/vendor-completions/_eventsync-dispatcher
        share/bash-completion/completions/eventsyncctl
        share/zsh/vendor-completions/_eventsyncctl
        share/fish/vendor_completions.d/eventsyncctl.fish);
    is_deeply(\@missing, [], 'brings what operations.md lists');

    my ($version) = slurp('shared/include/eventsync.h')
        =~ /^#define ES_VERSION +"(.*)"$/m;
    is(`PKG_CONFIG_PATH=$root/usr/lib/pkgconfig pkg-config --modversion eventsync`,
        "$version\n", 'pkg-config tells the version of the header');

    my $c = $t->write_file('producer.c', <<'C');
#include <eventsync.h>
#include <stdio.h>
#include <string.h>

int
main(int argc, char **argv)
{
    es_str_t       feed = { "orders", 6 };
    es_store_t    *store;
    es_batch_t    *batch;
    es_problem_t   problem;

    if (argc < 3
        || es_store_open(argv[1], ES_STORE_PUBLISH, &store, &problem) != ES_OK)
    {
        return 1;
    }

    batch = es_batch_create(feed, NULL);
    es_batch_add(batch, argv[2], strlen(argv[2]), &problem);
    es_publish(store, &batch, 1);

    if (es_batch_rc(batch) != ES_OK) {
        return 2;
    }

    puts(es_batch_result(batch, 0)->cursor);
    es_batch_destroy(batch);
    es_store_close(store);

    return 0;
}
C
    ok($make->("cc -Wall -Wextra -Werror -o $root/producer $c",
        '$(pkg-config --static --cflags --libs eventsync)'),
        'a producer in C builds by pkg-config');
    my $producer = $t->start('producer', {}, "$root/producer", $t->store,
        $t->event(id => 'from-c'));
    $producer->wait(20);
    like($producer->stdout, qr/^\w+-3$/, 'and publishes');
  }
}
