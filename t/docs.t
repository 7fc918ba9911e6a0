#!/usr/bin/perl

# What README.md and docs/ say is there and works: links and files, the
# README's configuration and commands as they stand, what make install brings
# and a producer in C built with it; and what the programs have is documented.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
my @pages = ('README.md', glob 'docs/*.md');
my %text = map { $_ => slurp($_) } @pages;

links();
files();
options();
readme();
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
    my @unread = grep { $_ ne 'README.md' && $text{'README.md'} !~ /\($_\)/ }
        @pages;
    is_deeply(\@unread, [], 'README.md leads to every page');
}

sub files {
    for my $page (@pages) {
        my @missing;
        for my $name ($text{$page} =~ /`([a-z_\/]+\.(?:c|h|t|md|sh|pl))`/g) {
            my @places = $name =~ m{/} ? $name : map { "$_/$name" }
                qw(shared ngx_module dispatcher ctl docs t bench);
            push @places, "ngx_module/ngx_http_eventsync$name";
            push @missing, $name unless grep { -e } @places;
        }
        is_deeply(\@missing, [], "$page: the files it names are there");
    }
}

# Each directive, option and command of the programs has its place.
sub options {
    my ($ctl, $dispatcher) = map { scalar `$_ --help` }
        map { $t->build . "/$_" } qw(eventsyncctl eventsync-dispatcher);

    my %commands = map { /^eventsyncctl (?:\[\S+\] )+((?:[a-z]+ ?){1,2})/
        ? ($1 =~ s/ $//r => 1) : () } split /\n/, $ctl;
    cmp_ok(scalar keys %commands, '>', 20, 'eventsyncctl tells its commands');
    my @silent = grep {
        my ($group, $word) = split / /;
        my $also = $word ? qr/`$group [^|]*`\Q$word\E\b/ : qr/^## $group/m;
        $text{'docs/eventsyncctl.md'} !~ /`\Q$_\E\b/
            && $text{'docs/eventsyncctl.md'} !~ $also;
    } sort keys %commands;
    is_deeply(\@silent, [], 'docs/eventsyncctl.md has each');

    @silent = grep { $text{'docs/dispatcher.md'} !~ /`\Q$_\E\b/ }
        grep { !/^--(?:help|version)$/ } $dispatcher =~ /^  (--[a-z-]+)/mg;
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

# The README's nginx.conf and commands, with other places.
sub readme {
    my ($conf) = $text{'README.md'} =~ /```nginx\n(.*?)```/s;
    my ($commands) = $text{'README.md'} =~ /```sh\n(eventsyncctl .*?)```/s;
    my ($store, $build, $port) = ($t->store, $t->build, $t->port(0));

    s{/var/lib/eventsync}{$store}g for $conf, $commands;
    $conf =~ s{^user www-data;\n}{};
    $conf =~ s{load_module modules/}{load_module $build/};
    $conf =~ s{listen 80;}{listen 127.0.0.1:$port;};

    my $key;
    for my $command (split /\n/, $commands) {
        if ($command =~ /^runuser .* eventsync-dispatcher --store \Q$store\E$/)
        {
            $t->run_dispatcher;
            next;
        }
        next if $command eq 'service nginx restart';
        $command =~ s/^eventsyncctl --store \Q$store\E // or die $command;
        my $out = $t->ctl_ok(split / /, $command);
        $key = $1 if $out =~ /(esk_\w+)/;
    }
    ok($key, 'README.md: the commands work');

    $t->write_file_expand('nginx.conf', $conf);
    $t->run_nginx;
    is($t->publish('orders', { key => $key }, { id => 'a' })->{status}, 201,
        'README.md: the configuration works: an event is published');
    is($t->poll('orders', key => $key, from => 'oldest')->{events}[0]{id}, 'a',
        'and polled');
    is(scalar @{ $t->json_get('/v1/feeds', $key)->{feeds} }, 1,
        'and the feed is listed');
    is($t->stop_dispatcher, 0, 'the dispatcher runs');
}

# The example of eventsync.h, and what operations.md says of make install.
sub install {
  SKIP: {
    skip 'not with an nginx of our own', 4 if -e $t->build . '/nginx';

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
        lib/pkgconfig/eventsync.pc);
    is_deeply(\@missing, [], 'brings what operations.md lists');

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
    like($producer->stdout, qr/^\w+-2$/, 'and publishes');
  }
}
